"""The SQL that scans a file, with nothing left to be guessed from its content."""

from collections.abc import Sequence

from domain_agent.enforcement.literals import text
from domain_agent.enforcement.plan import SourceColumn


def parquet_scan(path: str) -> str:
    """A Parquet file's own columns, none from its path."""
    return (
        f"read_parquet({text(path)}, hive_partitioning = false, union_by_name = false,"
        " filename = false, file_row_number = false)"
    )


def csv_scan(path: str, columns: Sequence[SourceColumn]) -> str:
    """A CSV file (RFC 4180, with a header, an empty field is NULL) of exactly these columns."""
    spec = ", ".join(f"{text(column.name)}: {text(column.type)}" for column in columns)
    return (
        f"read_csv({text(path)}, columns = {{{spec}}}, auto_detect = false, header = true,"
        " delim = ',', quote = '\"', escape = '\"', nullstr = '', strict_mode = true,"
        " ignore_errors = false, null_padding = false, compression = 'none',"
        " hive_partitioning = false, filename = false, encoding = 'utf-8')"
    )
