"""Statements over datasets that are open for statistics only, as they may run under a plan."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

import pyarrow as pa

from domain_agent.enforcement.gate import DatasetName, check
from domain_agent.enforcement.groups import (
    GroupedDataset,
    ParameterUse,
    check_values,
    limit_groups,
)
from domain_agent.enforcement.plan import DatasetPlan, Plan
from domain_agent.reads.statements import CheckedSql, catalog_of, rewritten
from domain_agent.snapshot.values import Snapshot
from domain_agent.worker.pool import WorkerPool
from mesh.errors import StatementParametersInvalid

_REMEMBERED = 128


@dataclass(frozen=True, slots=True)
class PlannedSql:
    """The text that runs under a plan, and what its parameters must be values of."""

    runs: str
    uses: tuple[ParameterUse, ...] = ()

    def check_parameters(self, parameters: bytes | None) -> None:
        """Refuse a row of parameters that doesn't fit. Raises StatementParametersInvalid."""
        if not self.uses or parameters is None:
            return
        try:
            with pa.ipc.open_stream(parameters) as stream:
                columns = [column.to_pylist() for column in stream.read_all().columns]
        except (ValueError, OverflowError, pa.ArrowException) as error:
            raise StatementParametersInvalid("a parameter is out of range for its type") from error
        # The worker refuses another number of rows.
        for row in zip(*columns, strict=True):
            check_values(self.uses, row)


class GroupedStatements:
    """Limits what passed the gate to groups, and remembers the last statements."""

    def __init__(self, domain: str, pool: WorkerPool) -> None:
        self._domain, self._pool = domain, pool
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[object, ...], PlannedSql] = OrderedDict()

    def under(self, plan: Plan, checked: CheckedSql, snapshot: Snapshot) -> PlannedSql:
        """The statement as it may run. Raises StatementAggregatesOnly where it asks for more."""
        datasets = tuple(
            grouped for dataset in plan.datasets if (grouped := _grouped(dataset)) is not None
        )
        if not datasets:
            return PlannedSql(checked.runs)
        key = (snapshot.digest, checked.runs, datasets)
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        limited = self._limited(checked, datasets, snapshot)
        with self._lock:
            self._known[key] = limited
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return limited

    def _limited(
        self, checked: CheckedSql, datasets: tuple[GroupedDataset, ...], snapshot: Snapshot
    ) -> PlannedSql:
        catalog = catalog_of(self._domain, snapshot)
        passed = check(self._pool.parse(checked.runs), catalog)
        limited = limit_groups(passed.tree, self._domain, datasets)
        text, _ = rewritten(self._pool, replace(passed, tree=limited.tree), catalog)
        return PlannedSql(text, limited.uses)


def _grouped(dataset: DatasetPlan) -> GroupedDataset | None:
    if dataset.group is None:
        return None
    columns = tuple((column.name, column.type) for column in dataset.columns)
    return GroupedDataset(DatasetName(dataset.product, dataset.dataset), dataset.group, columns)
