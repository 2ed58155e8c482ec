"""The one way to data: identity, gate, decide, plan, evidence, worker, stream."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from domain_agent.clock import Clock
from domain_agent.enforcement.plan import Plan
from domain_agent.flight.ports import Prepared, ReadContext, TableInfo
from domain_agent.flight.shares import Shares
from domain_agent.reads.deciding import (
    DatasetDecider,
    DatasetDecision,
    require_purpose,
    valid_until,
)
from domain_agent.reads.grouping import GroupedStatements, PlannedSql
from domain_agent.reads.planning import Planner
from domain_agent.reads.reading import GovernedReading
from domain_agent.reads.receipts import Receipts, Statement
from domain_agent.reads.refusals import recorded, refusal
from domain_agent.reads.schemas import Schemas
from domain_agent.reads.statements import CheckedSql, Statements
from domain_agent.snapshot.holder import SnapshotHolder
from domain_agent.snapshot.values import Snapshot
from domain_agent.worker.pool import WorkerPool
from mesh.contracts.values import Classification
from mesh.errors import (
    EvidenceUnavailable,
    InternalError,
    MeshError,
    StatementRevoked,
    StatementStale,
    TokenExpired,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PreparedRead:
    """A statement with the schemas its readers were told; decided anew when it is opened."""

    checked: CheckedSql
    schema: bytes
    parameter_schema: bytes


@dataclass(frozen=True, slots=True)
class _Allowed:
    """What allows a read now, and how long it does."""

    snapshot: Snapshot
    plan: Plan
    sql: PlannedSql
    classification: Classification
    valid_until: datetime


class GovernedReads:
    """Implements the Flight service's port. Every refusal is recorded before it is raised."""

    def __init__(  # noqa: PLR0913 - the parts of a read, wired in app.py
        self,
        *,
        holder: SnapshotHolder,
        statements: Statements,
        grouped: GroupedStatements,
        decider: DatasetDecider,
        planner: Planner,
        receipts: Receipts,
        pool: WorkerPool,
        clock: Clock,
        statement_seconds: float,
        shares: Shares,
    ) -> None:
        self._holder, self._statements, self._decider = holder, statements, decider
        self._grouped = grouped
        self._planner, self._receipts, self._pool = planner, receipts, pool
        self._clock, self._seconds = clock, statement_seconds
        self._schemas, self._shares = Schemas(pool), shares

    def prepare(self, context: ReadContext, sql: str) -> PreparedRead:
        """Check, decide and plan a statement; its schema is what the masked views give."""
        record = _Record(context)
        with _refusals_recorded(self._receipts, record):
            snapshot = self._begin(record)
            checked = self._statements.check(sql, snapshot)
            record.sql = checked.redacted_sql
            allowed = self._allow(context, checked, snapshot, record)
            schema = self._schemas.schema(allowed.plan, allowed.sql.runs)
        return PreparedRead(checked, schema, checked.parameter_schema)

    def bind(self, context: ReadContext, prepared: Prepared, parameters: bytes) -> PreparedRead:
        """The statement with the schema it has for parameters of these types."""
        checked = _prepared_here(prepared).checked
        record = _Record(context, sql=checked.redacted_sql)
        with _refusals_recorded(self._receipts, record):
            allowed = self._allow(context, checked, self._begin(record), record)
            schema = self._schemas.schema(allowed.plan, allowed.sql.runs, parameters)
        return PreparedRead(checked, schema, checked.parameter_schema)

    def open(
        self, context: ReadContext, prepared: Prepared, parameters: bytes | None
    ) -> GovernedReading:
        """Decide anew, make the evidence durable, start."""
        checked = _prepared_here(prepared).checked
        record = _Record(context, sql=checked.redacted_sql)
        with _refusals_recorded(self._receipts, record):
            allowed = self._allow(context, checked, self._begin(record), record)
            sql = allowed.sql
            sql.check_parameters(parameters)
            release = self._shares.take(context.caller.principal.reference)
            with ExitStack() as undo:
                undo.callback(release)
                running = self._pool.run(allowed.plan, sql.runs, parameters, self._seconds)
                undo.callback(running.close)
                if running.schema != prepared.schema:
                    raise StatementStale(
                        "what the statement may return changed since it was prepared; "
                        "prepare it again"
                    )
                receipt = self._receipts.started(record.statement())
                undo.pop_all()
        guard = _Guard(self, context, checked, allowed)
        return GovernedReading(running, receipt, self._receipts, guard, release, self._clock)

    def tables(self, context: ReadContext) -> Sequence[TableInfo]:
        """The datasets that an agreement of the caller covers, as the caller would read them."""
        snapshot = self._holder.current(context.revision)
        purpose = require_purpose(context, snapshot)
        found = []
        for product, contract in sorted(snapshot.contracts.items()):
            for dataset in contract.datasets:
                decision = self._decider.decide(context, purpose, snapshot, product, dataset.name)
                if not decision.decided.decision.allow:
                    continue
                plan = self._planner.plan((decision,))
                table = f"{contract.domain}.{product}.{dataset.name}"
                everything = self._statements.check(f"FROM {table}", snapshot)
                schema = self._schemas.schema(plan, everything.runs)
                found.append(
                    TableInfo(contract.domain, product, dataset.name, schema, dataset.description)
                )
        return found

    def allow_again(self, context: ReadContext, checked: CheckedSql, before: _Allowed) -> _Allowed:
        """What allows a running read under the snapshot in force. Raises StatementRevoked."""
        snapshot = self._holder.current()
        self._holder.lease.remaining(before.classification)
        if snapshot is before.snapshot and self._clock.now() < before.valid_until:
            return before
        try:
            allowed = self._allow(context, checked, snapshot, _Record(context))
        except MeshError as error:
            raise StatementRevoked(f"the read ended while it ran: {error.message}") from error
        if allowed.plan.key != before.plan.key:
            raise StatementRevoked("what the read may return changed while it ran; read again")
        return allowed

    def _begin(self, record: "_Record") -> Snapshot:
        known = self._holder.peek()
        record.purposes = known.purposes if known is not None else frozenset()
        snapshot = self._holder.current(record.context.revision)
        record.revision, record.purposes = snapshot.revision, snapshot.purposes
        return snapshot

    def _allow(
        self, context: ReadContext, checked: CheckedSql, snapshot: Snapshot, record: "_Record"
    ) -> _Allowed:
        purpose = require_purpose(context, snapshot)
        classification = snapshot.classification(
            (name.product, name.dataset) for name in checked.datasets
        )
        left = self._holder.lease.remaining(classification)
        for name in checked.datasets:
            decision = self._decider.decide(context, purpose, snapshot, name.product, name.dataset)
            record.decisions.append(decision)
            if not decision.decided.decision.allow:
                raise refusal(
                    decision.decided.decision.reasons,
                    context.caller.principal,
                    decision.contract.name,
                    name.dataset,
                    purpose,
                )
        decisions = tuple(record.decisions)
        now = self._clock.now()
        until = valid_until(context.caller, decisions)
        if now >= until:
            raise TokenExpired("the token expired while the statement ran; issue a new one")
        plan = self._planner.plan(decisions)
        sql = self._grouped.under(plan, checked, snapshot)
        return _Allowed(snapshot, plan, sql, classification, min(until, now + left))


def _prepared_here(prepared: Prepared) -> PreparedRead:
    if not isinstance(prepared, PreparedRead):
        raise TypeError(f"{type(prepared)} was not prepared here")
    return prepared


class _Guard:
    """Called before each batch: raises as soon as the read is not allowed any more."""

    def __init__(
        self, reads: GovernedReads, context: ReadContext, checked: CheckedSql, allowed: _Allowed
    ) -> None:
        self._reads, self._context, self._checked = reads, context, checked
        self._allowed = allowed

    def __call__(self) -> None:
        self._allowed = self._reads.allow_again(self._context, self._checked, self._allowed)


@dataclass(slots=True)
class _Record:
    """What is known of a statement so far, for its evidence; no word of the reader's own."""

    context: ReadContext
    sql: str | None = None
    revision: int = 0
    purposes: frozenset[str] = frozenset()
    decisions: list[DatasetDecision] = field(default_factory=list)

    def statement(self) -> Statement:
        purpose = self.context.purpose
        context = replace(self.context, purpose=purpose if purpose in self.purposes else None)
        return Statement(self.sql, context, tuple(self.decisions), self.revision)


@contextmanager
def _refusals_recorded(receipts: Receipts, record: _Record) -> Iterator[None]:
    """Record whatever refuses the statement, then raise it with the receipt's id."""
    try:
        yield
    except EvidenceUnavailable:
        raise
    except MeshError as error:
        error.metadata["receipt"] = receipts.refused(record.statement(), recorded(error))
        raise
    except Exception as error:
        log.exception("a read failed where it must not")
        bug = InternalError("the agent failed, so nothing is served; its log says why")
        bug.metadata["receipt"] = receipts.refused(record.statement(), bug)
        raise bug from error
