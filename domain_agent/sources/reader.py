"""Finds the source of a dataset: its file, its real columns, and the SQL that scans it."""

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from domain_agent.enforcement import types
from domain_agent.enforcement.plan import Source, SourceColumn, agreed_columns
from domain_agent.sources.paths import locate
from domain_agent.sources.scans import csv_scan, parquet_scan
from mesh.contracts.values import Contract, Dataset
from mesh.errors import DatasetNotFound, SourceDrift, SourceMissing, SourceUnsupported

_REMEMBERED = 256
_Key = tuple[str, str, Dataset, int, int, int, int]


class Inspector(Protocol):
    """Looks into files where DuckDB runs."""

    def inspect(self, path: str, format_: str, scan: str) -> tuple[SourceColumn, ...]:
        """The columns of a file; those of a CSV file have no type."""


class SourceReader:
    """Remembers what it found for as long as the file stays the same."""

    def __init__(self, roots: Sequence[Path], inspector: Inspector) -> None:
        self._roots, self._inspector = tuple(roots), inspector
        self._lock = threading.Lock()
        self._known: OrderedDict[_Key, Source] = OrderedDict()

    def source(self, contract: Contract, dataset_name: str) -> Source:
        """The source of a dataset, agreeing with the contract. Raises a Source* error."""
        dataset = contract.dataset(dataset_name)
        if dataset is None:
            raise DatasetNotFound(f"{contract.name} has no dataset {dataset_name!r}")
        path = str(locate(contract.server, dataset, self._roots))
        try:
            status = os.stat(path)  # noqa: PTH116 - one system call on the hot path
        except OSError:
            raise SourceMissing(f"the file of dataset {dataset_name} vanished; try again") from None
        format_ = contract.server.format
        identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        key: _Key = (path, format_, dataset, *identity)
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        source = self._inspect(path, format_, dataset, f"{contract.name}.{dataset_name}")
        with self._lock:
            self._known[key] = source
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return source

    def _inspect(self, path: str, format_: str, dataset: Dataset, where: str) -> Source:
        if format_ == "parquet":
            scan = parquet_scan(path)
            columns = self._inspector.inspect(path, format_, scan)
        else:
            header = self._inspector.inspect(path, format_, "")
            columns = _typed(header, dataset, where)
            scan = csv_scan(path, columns)
        agreed_columns(dataset, columns, where)
        return Source(path, format_, columns, scan)


def _typed(
    header: Sequence[SourceColumn], dataset: Dataset, where: str
) -> tuple[SourceColumn, ...]:
    """A CSV file's header with the contract's types, in the file's order."""
    declared = {column.name: column for column in dataset.columns}
    names = [column.name for column in header]
    if sorted(names) != sorted(declared):
        raise SourceDrift(
            f"the header of {where} differs from its contract: {len(names)} columns, declared"
            f" {len(declared)}: {', '.join(declared)}. Nothing is read until they are the same"
        )
    columns = []
    for name in names:
        type_ = types.assumed(declared[name])
        if type_ is None:
            raise SourceUnsupported(
                f"{where}, column {name!r}, is of a type that a CSV file can't hold here"
            )
        columns.append(SourceColumn(name, type_))
    return tuple(columns)
