"""Answers to metadata commands: the caller's datasets as catalogs, schemas and tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from google.protobuf.message import Message

from domain_agent.flight import sql_info, sql_types
from domain_agent.flight.ports import TableInfo
from mesh.arrow import flight_sql_pb2 as sql
from mesh.errors import RequestInvalid

TABLE_TYPE = "TABLE"
Tables = Callable[[], Sequence[TableInfo]]

MAX_PATTERN = 256


def _schema(*fields: tuple[str, pa.DataType] | tuple[str, pa.DataType, str]) -> pa.Schema:
    return pa.schema([pa.field(field[0], field[1], nullable=len(field) == 2) for field in fields])


_REQUIRED = "required"
_CATALOGS = _schema(("catalog_name", pa.utf8(), _REQUIRED))
_DB_SCHEMAS = _schema(("catalog_name", pa.utf8()), ("db_schema_name", pa.utf8(), _REQUIRED))
_TABLES = _schema(
    ("catalog_name", pa.utf8()),
    ("db_schema_name", pa.utf8()),
    ("table_name", pa.utf8(), _REQUIRED),
    ("table_type", pa.utf8(), _REQUIRED),
)
_TABLES_WITH_SCHEMA = _TABLES.append(pa.field("table_schema", pa.binary(), nullable=False))
_TABLE_TYPES = _schema(("table_type", pa.utf8(), _REQUIRED))
_PRIMARY_KEYS = _schema(
    ("catalog_name", pa.utf8()),
    ("db_schema_name", pa.utf8()),
    ("table_name", pa.utf8(), _REQUIRED),
    ("column_name", pa.utf8(), _REQUIRED),
    ("key_name", pa.utf8()),
    ("key_sequence", pa.int32(), _REQUIRED),
)
_FOREIGN_KEYS = _schema(
    ("pk_catalog_name", pa.utf8()),
    ("pk_db_schema_name", pa.utf8()),
    ("pk_table_name", pa.utf8(), _REQUIRED),
    ("pk_column_name", pa.utf8(), _REQUIRED),
    ("fk_catalog_name", pa.utf8()),
    ("fk_db_schema_name", pa.utf8()),
    ("fk_table_name", pa.utf8(), _REQUIRED),
    ("fk_column_name", pa.utf8(), _REQUIRED),
    ("key_sequence", pa.int32(), _REQUIRED),
    ("fk_key_name", pa.utf8()),
    ("pk_key_name", pa.utf8()),
    ("update_rule", pa.uint8(), _REQUIRED),
    ("delete_rule", pa.uint8(), _REQUIRED),
)
_FIXED: Mapping[type[Message], pa.Schema] = {
    sql.CommandGetCatalogs: _CATALOGS,
    sql.CommandGetDbSchemas: _DB_SCHEMAS,
    sql.CommandGetTableTypes: _TABLE_TYPES,
    sql.CommandGetPrimaryKeys: _PRIMARY_KEYS,
    sql.CommandGetExportedKeys: _FOREIGN_KEYS,
    sql.CommandGetImportedKeys: _FOREIGN_KEYS,
    sql.CommandGetCrossReference: _FOREIGN_KEYS,
    sql.CommandGetSqlInfo: sql_info.SCHEMA,
    sql.CommandGetXdbcTypeInfo: sql_types.SCHEMA,
}


def schema(command: Message) -> pa.Schema | None:
    """The schema of the answer; None when the command asks for no metadata."""
    if isinstance(command, sql.CommandGetTables):
        return _TABLES_WITH_SCHEMA if command.include_schema else _TABLES
    return _FIXED.get(type(command))


def answer(command: Message, tables: Tables, facts: Mapping[int, sql_info.Info]) -> pa.Table:
    """The answer to a command that has a schema. Contracts declare no keys, so none are listed."""
    match command:
        case sql.CommandGetSqlInfo():
            found = sql_info.table(facts, command.info)
        case sql.CommandGetXdbcTypeInfo():
            asked = command.data_type if command.HasField("data_type") else None
            found = sql_types.table(asked)
        case sql.CommandGetTableTypes():
            found = _table(_TABLE_TYPES, [(TABLE_TYPE,)])
        case sql.CommandGetCatalogs():
            found = _table(_CATALOGS, sorted({(table.catalog,) for table in tables()}))
        case sql.CommandGetDbSchemas():
            found = _table(_DB_SCHEMAS, sorted(set(_db_schemas(command, tables()))))
        case sql.CommandGetTables():
            found = _tables(command, tables())
        case _:
            found = _FIXED[type(command)].empty_table()
    return found


def _db_schemas(
    command: sql.CommandGetDbSchemas, tables: Sequence[TableInfo]
) -> Iterator[tuple[str, str]]:
    wanted = _pattern(command, "db_schema_filter_pattern")
    for found in tables:
        if _in_catalog(command, found) and wanted(found.schema):
            yield found.catalog, found.schema


def _tables(command: sql.CommandGetTables, tables: Sequence[TableInfo]) -> pa.Table:
    in_schema = _pattern(command, "db_schema_filter_pattern")
    named = _pattern(command, "table_name_filter_pattern")
    if command.table_types and TABLE_TYPE not in command.table_types:
        tables = ()
    found = sorted(
        (table.catalog, table.schema, table.name, TABLE_TYPE, table.arrow_schema)
        for table in tables
        if _in_catalog(command, table) and in_schema(table.schema) and named(table.name)
    )
    if command.include_schema:
        return _table(_TABLES_WITH_SCHEMA, found)
    return _table(_TABLES, [row[:4] for row in found])


def _in_catalog(command: sql.CommandGetTables | sql.CommandGetDbSchemas, table: TableInfo) -> bool:
    return not command.HasField("catalog") or command.catalog == table.catalog


def _pattern(command: Any, field: str) -> Callable[[str], bool]:
    if not command.HasField(field):
        return lambda _: True
    pattern: str = getattr(command, field)
    if len(pattern) > MAX_PATTERN:
        raise RequestInvalid(f"A name's pattern has at most {MAX_PATTERN} characters.")
    return like(pattern)


def like(pattern: str) -> Callable[[str], bool]:
    """Matches as SQL's LIKE does: % any text, _ any character, a backslash takes the next as is."""
    tokens: list[str] = []
    characters = iter(pattern)
    for character in characters:
        tokens.append("=" + next(characters, "\\") if character == "\\" else character)
    return lambda text: _matches(tokens, text)


def _matches(tokens: Sequence[str], text: str) -> bool:
    # Not a regular expression: `%a%a%a…` would take one exponentially long.
    token = place = 0
    retry: tuple[int, int] | None = None
    while place < len(text):
        if token < len(tokens) and tokens[token] == "%":
            retry = (token + 1, place)
            token += 1
        elif token < len(tokens) and tokens[token] in ("_", text[place], "=" + text[place]):
            token, place = token + 1, place + 1
        elif retry is not None:
            retry = (retry[0], retry[1] + 1)
            token, place = retry
        else:
            return False
    return all(rest == "%" for rest in tokens[token:])


def _table(schema: pa.Schema, rows: Sequence[tuple[object, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
