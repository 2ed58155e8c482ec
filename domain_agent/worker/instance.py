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
    """Built once per plan; `verify` before each use."""

    def __init__(self, plan: Plan, settings: PoolSettings) -> None:
        self.plan = plan
        self._identities: dict[str, _Identity] = {}
        paths = sorted({dataset.source.path for dataset in plan.datasets})
        self._connection = connection(settings)
        try:
            functions = self._register(plan)
            allowed = ", ".join(text(path) for path in paths)
            self._connection.execute(f"SET allowed_paths = [{allowed}]")
            self._connection.execute(f"ATTACH ':memory:' AS {identifier(plan.domain)}")
            self._connection.execute("SET enable_external_access = false")
            self.verify()
            self._create_views(plan, functions)
            self._connection.execute("SET lock_configuration = true")
        except BaseException:
            self.close()
            raise

    def verify(self) -> None:
        """Compare every source that changed with the plan. Raises SourceDrift or SourceMissing."""
        for dataset in self.plan.datasets:
            source, name = dataset.source, f"{dataset.product}.{dataset.dataset}"
            identity = _identity(source.path, name)
            if self._identities.get(source.path) != identity:
                found = columns(self._connection, source.path, source.format, source.scan)
                if not _equal(source, found):
                    self._identities.pop(source.path, None)
                    raise SourceDrift(
                        f"the source of {name} no longer has the columns that its contract"
                        " declares; nothing is read until they are the same"
                    )
                self._identities[source.path] = identity

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own for one statement."""
        return self._connection.cursor()

    def close(self) -> None:
        """Free the instance."""
        self._connection.close()

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
    opened.execute("SET TimeZone = 'UTC'")
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
