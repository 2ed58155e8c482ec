"""Statements that passed the gate, and what evidence may say of them."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

import pyarrow as pa

from domain_agent.enforcement.gate import (
    Catalog,
    CheckedStatement,
    DatasetName,
    check,
    confirm,
    precheck,
)
from domain_agent.snapshot.values import Snapshot
from domain_agent.worker.pool import WorkerPool
from mesh.errors import StatementTooLong

MAX_REWRITTEN = 128 * 1024
_REMEMBERED = 512
_MAX_REMEMBERED_CHARACTERS = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CheckedSql:
    """A statement that may run.

    `runs` is the text made from the checked tree, never the user's; `redacted_sql` has neither
    its literals nor any word of the reader's own.
    """

    runs: str
    datasets: tuple[DatasetName, ...]
    redacted_sql: str
    parameter_schema: bytes


class Statements:
    """Parses in the worker, checks here, and remembers the last statements of a snapshot."""

    def __init__(self, domain: str, pool: WorkerPool) -> None:
        self._domain, self._pool = domain, pool
        self._lock = threading.Lock()
        self._checked: OrderedDict[tuple[bytes, str], CheckedSql] = OrderedDict()
        self._characters = 0

    def check(self, sql: str, snapshot: Snapshot) -> CheckedSql:
        """The statement, checked against the snapshot's datasets. Raises a Statement* error."""
        precheck(sql)
        key = (snapshot.digest, sql)
        with self._lock:
            known = self._checked.get(key)
            if known is not None:
                self._checked.move_to_end(key)
                return known
        checked = self._check(sql, snapshot)
        with self._lock:
            if key in self._checked:
                return checked
            self._checked[key] = checked
            self._characters += _weight(sql, checked)
            while len(self._checked) > _REMEMBERED or self._characters > _MAX_REMEMBERED_CHARACTERS:
                (_, old), gone = self._checked.popitem(last=False)
                self._characters -= _weight(old, gone)
        return checked

    def _check(self, sql: str, snapshot: Snapshot) -> CheckedSql:
        catalog = catalog_of(self._domain, snapshot)
        statement = check(self._pool.parse(sql), catalog)
        text, public = rewritten(self._pool, statement, catalog)
        return CheckedSql(
            text,
            statement.datasets,
            public,
            _parameter_schema(statement.parameters),
        )


def catalog_of(domain: str, snapshot: Snapshot) -> Catalog:
    """The datasets that statements may name under a snapshot."""
    return Catalog(
        domain,
        {
            product: {
                dataset.name: tuple(column.name for column in dataset.columns)
                for dataset in contract.datasets
            }
            for product, contract in snapshot.contracts.items()
        },
    )


def rewritten(pool: WorkerPool, statement: CheckedStatement, catalog: Catalog) -> tuple[str, str]:
    """The text that runs, confirmed to be the statement's tree, and the redacted one."""
    text, again, public = pool.rewrite(statement.tree, statement.redacted)
    if len(text) > MAX_REWRITTEN or len(public) > MAX_REWRITTEN:
        raise StatementTooLong(
            f"written out, the statement is longer than {MAX_REWRITTEN} characters; "
            "name fewer columns or windows"
        )
    confirm(statement, again, catalog)
    return text, public


def _weight(sql: str, checked: CheckedSql) -> int:
    return len(sql) + len(checked.runs) + len(checked.redacted_sql)


def _parameter_schema(count: int) -> bytes:
    """Parameters are untyped until they are bound."""
    fields = [pa.field(str(number + 1), pa.null()) for number in range(count)]
    serialized: bytes = pa.schema(fields).serialize().to_pybytes()
    return serialized
