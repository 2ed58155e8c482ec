"""Statements that passed the gate, and what evidence may say of them."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

import pyarrow as pa

from domain_agent.enforcement.gate import Catalog, DatasetName, check, confirm, precheck
from domain_agent.snapshot.values import Snapshot
from domain_agent.worker.pool import WorkerPool

_REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class CheckedSql:
    """A statement that may run.

    `runs` is the text made from the checked tree, never the user's; `redacted_sql` has the
    literals replaced by parameters.
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
            self._checked[key] = checked
            while len(self._checked) > _REMEMBERED:
                self._checked.popitem(last=False)
        return checked

    def _check(self, sql: str, snapshot: Snapshot) -> CheckedSql:
        catalog = Catalog(
            self._domain,
            {
                product: frozenset(dataset.name for dataset in contract.datasets)
                for product, contract in snapshot.contracts.items()
            },
        )
        statement = check(self._pool.parse(sql), catalog)
        text, again, public = self._pool.rewrite(statement.tree, statement.redacted)
        confirm(statement, again, catalog)
        return CheckedSql(
            text,
            statement.datasets,
            public,
            _parameter_schema(statement.parameters),
        )


def _parameter_schema(count: int) -> bytes:
    """Parameters are untyped until they are bound."""
    fields = [pa.field(str(number + 1), pa.null()) for number in range(count)]
    serialized: bytes = pa.schema(fields).serialize().to_pybytes()
    return serialized
