"""One DuckDB instance for one plan: the governed views, and nothing else that reads."""

import contextlib
import csv
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import duckdb
from duckdb import func, sqltypes

from domain_agent.enforcement.literals import identifier, text
from domain_agent.enforcement.masks import Pseudonyms
from domain_agent.enforcement.plan import Plan, Source, SourceColumn
from domain_agent.worker.limits import PoolSettings
from domain_agent.worker.pseudonym import number_pseudonyms, text_pseudonyms
from mesh.errors import SourceDrift, SourceMissing, SourceUnsupported

_HEADER_BYTES = 1024 * 1024
_Identity = tuple[int, int, int, int, int]


class Instance:
    """Built once per plan and set of files: when a file changes, a new instance reads it."""

    def __init__(self, plan: Plan, settings: PoolSettings) -> None:
        """Raises SourceDrift or SourceMissing where a source is not what the plan expects."""
        self._files = {
            dataset.source.path: f"{dataset.product}.{dataset.dataset}" for dataset in plan.datasets
        }
        self._identities = self._identify()
        self._connection = connection(settings)
        try:
            functions = self._register(plan)
            allowed = ", ".join(text(path) for path in self._files)
            self._connection.execute("SET parquet_metadata_cache = true")
            # It evaluates readers' expressions on the minima and maxima of hidden rows.
            self._connection.execute("SET disabled_optimizers = 'statistics_propagation'")
            self._connection.execute(f"SET allowed_paths = [{allowed}]")
            self._connection.execute(f"ATTACH ':memory:' AS {identifier(plan.domain)}")
            self._connection.execute("SET enable_external_access = false")
            self._compare(plan)
            self._create_views(plan, functions)
            self._connection.execute("SET lock_configuration = true")
        except BaseException:
            self.close()
            raise

    def current(self) -> bool:
        """Whether every file is still the one that was compared. Raises SourceMissing."""
        return self._identify() == self._identities

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own for one statement."""
        return self._connection.cursor()

    def close(self) -> None:
        """Free the instance."""
        self._connection.close()

    def _identify(self) -> list[_Identity]:
        return [_identity(path, name) for path, name in self._files.items()]

    def _compare(self, plan: Plan) -> None:
        for dataset in plan.datasets:
            source = dataset.source
            found = columns(self._connection, source.path, source.format, source.scan)
            if not _equal(source, found):
                raise SourceDrift(
                    f"the source of {dataset.product}.{dataset.dataset} no longer has the columns"
                    " that its contract declares; nothing is read until they are the same"
                )

    def _register(self, plan: Plan) -> Mapping[bytes | None, Pseudonyms]:
        functions: dict[bytes | None, Pseudonyms] = {None: Pseudonyms("", "")}
        for key in {key for key in plan.keys if key is not None}:
            names = Pseudonyms(f"p{secrets.token_hex(16)}", f"p{secrets.token_hex(16)}")
            for name, function, type_ in (
                (names.of_text, text_pseudonyms(key), sqltypes.VARCHAR),
                (names.of_number, number_pseudonyms(key), sqltypes.BIGINT),
            ):
                self._connection.create_function(
                    name, function, [type_], type_, type=func.PythonUDFType.ARROW
                )
            functions[key] = names
        return functions

    def _create_views(self, plan: Plan, functions: Mapping[bytes | None, Pseudonyms]) -> None:
        domain = identifier(plan.domain)
        for product in sorted({dataset.product for dataset in plan.datasets}):
            self._connection.execute(f"CREATE SCHEMA {domain}.{identifier(product)}")
        for dataset, key in zip(plan.datasets, plan.keys, strict=True):
            view = f"{domain}.{identifier(dataset.product)}.{identifier(dataset.dataset)}"
            self._connection.execute(f"CREATE VIEW {view} AS {dataset.select(functions[key])}")


def connection(settings: PoolSettings) -> duckdb.DuckDBPyConnection:
    """An empty in-memory instance that loads nothing, spills nowhere and tells no names."""
    opened = duckdb.connect(
        ":memory:",
        config={
            "threads": settings.threads,
            "memory_limit": f"{settings.memory_mib}MiB",
            "temp_directory": "",
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "enable_external_file_cache": False,
            "catalog_error_max_schemas": 0,
        },
    )
    opened.execute("SET GLOBAL TimeZone = 'UTC'")
    return opened


def columns(
    where: duckdb.DuckDBPyConnection, path: str, format_: str, scan: str
) -> tuple[SourceColumn, ...]:
    """The columns that a file has now; those of a CSV file have no type."""
    if format_ == "csv":
        return tuple(SourceColumn(name, "") for name in _header(path))
    if format_ != "parquet":
        raise SourceUnsupported(f"a worker can't read the format {format_!r}")
    try:
        with contextlib.closing(where.cursor()) as cursor:
            bound = cursor.sql(f"SELECT * FROM {scan}")  # noqa: S608 - made by the agent
            names, types = list(bound.columns), [str(type_) for type_ in bound.types]
    except duckdb.Error as error:
        raise SourceDrift("a source can't be read as what its contract declares") from error
    return tuple(SourceColumn(*pair) for pair in zip(names, types, strict=True))


def _header(path: str) -> list[str]:
    try:
        with Path(path).open("rb") as file:
            first = file.read(_HEADER_BYTES).decode("utf-8-sig", errors="strict")
        return next(csv.reader([first.splitlines()[0]], strict=True), [])
    except (OSError, UnicodeDecodeError, csv.Error, IndexError) as error:
        raise SourceDrift("a source can't be read as a CSV file with a header") from error


def _equal(source: Source, found: tuple[SourceColumn, ...]) -> bool:
    if source.format == "csv":
        return [c.name for c in found] == [c.name for c in source.columns]
    return len(found) == len(source.columns) and set(found) == set(source.columns)


def _identity(path: str, name: str) -> _Identity:
    try:
        status = os.stat(path)  # noqa: PTH116 - one system call on the hot path
    except OSError as error:
        raise SourceMissing(f"the file of {name} is gone; nothing is read") from error
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
