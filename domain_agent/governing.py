"""The part of the composition root that decides, reads and records."""

import logging
import os
from dataclasses import dataclass

from domain_agent.clock import Clock
from domain_agent.control.enrolment import Trust
from domain_agent.control.link import AgentIdentity
from domain_agent.control.witnessing import SignedHeads
from domain_agent.flight.shares import Shares
from domain_agent.principal_keys import PrincipalKeys
from domain_agent.pseudonyms import PseudonymEndings, PseudonymKeys
from domain_agent.reads.deciding import DatasetDecider
from domain_agent.reads.governed import GovernedReads
from domain_agent.reads.grouping import GroupedStatements
from domain_agent.reads.planning import Planner
from domain_agent.reads.receipts import Receipts
from domain_agent.reads.statements import Statements
from domain_agent.settings import AgentSettings
from domain_agent.snapshot.holder import SnapshotHolder
from domain_agent.snapshot.lease import Lease
from domain_agent.snapshot.receiver import Receiver
from domain_agent.snapshot.store import SnapshotStore
from domain_agent.snapshot.values import Snapshot
from domain_agent.sources.reader import SourceReader
from domain_agent.spool.event_log import EventLog
from domain_agent.spool.files import Files
from domain_agent.spool.spool import Spool, SpoolLimits
from domain_agent.worker.limits import PoolSettings
from domain_agent.worker.pool import WorkerPool
from mesh.decisions.deciding import Decider
from mesh.decisions.engines import ACCESS_ENTRYPOINT, Engine
from mesh.decisions.opa_engine import OpaEngine
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.evidence.events import agent_source

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Governed:
    """What decides, reads and records; it needs no control plane to be up."""

    engine: Engine
    pool: WorkerPool
    spool: Spool
    events: EventLog
    heads: SignedHeads
    keys: PrincipalKeys
    holder: SnapshotHolder
    decider: DatasetDecider
    reads: GovernedReads


def build_governed(
    settings: AgentSettings, clock: Clock, files: Files, trust: Trust, identity: AgentIdentity
) -> Governed:
    """Wire it, and end what an earlier process left open. Raises a MeshError or OSError."""
    heads = SignedHeads(settings.state / "checkpoint", identity, files, clock)
    limits = SpoolLimits(quota=settings.evidence_quota_mib << 20)
    spool = Spool(settings.state / "spool", files, limits, heads.last)
    source = agent_source(settings.domain, settings.id)
    events = EventLog(source, spool, clock.now, os.urandom)
    keys = PrincipalKeys(settings.state / "principals", files, events, clock.now, os.urandom)
    engine = _engine(settings)
    decider = Decider(engine)
    pseudonyms = PseudonymKeys(settings.state / "pseudonyms", files)
    workers = _pool_settings(settings)
    pool = WorkerPool(workers)
    holder = _holder(settings, clock, files, decider, PseudonymEndings(pseudonyms, pool, events))
    holder.restore(Receiver(settings.domain, trust.snapshot_keys, 0))
    receipts = Receipts(engine.name, events, keys)
    unfinished = spool.unfinished()
    receipts.abort_unfinished(unfinished)
    if unfinished:
        log.warning("ended %d reads that an earlier process left open", len(unfinished))
    datasets = DatasetDecider(settings.domain, settings.id, decider, clock.now)
    reads = GovernedReads(
        holder=holder,
        statements=Statements(settings.domain, pool),
        grouped=GroupedStatements(settings.domain, pool),
        decider=datasets,
        planner=Planner(settings.domain, SourceReader(settings.roots, pool), pseudonyms),
        receipts=receipts,
        pool=pool,
        clock=clock,
        statement_seconds=settings.worker.statement_seconds,
        shares=Shares(workers.workers, "statements", workers.waiting),
    )
    return Governed(engine, pool, spool, events, heads, keys, holder, datasets, reads)


def _engine(agent: AgentSettings) -> Engine:
    settings = agent.engine
    deadline = settings.deadline_ms / 1000
    if settings.url is not None:
        # Agents may share a server; each loads its policy under a name of its own.
        instance = f"{agent.domain}_{agent.id}".replace("-", "_")
        return OpaEngine(settings.url, ACCESS_ENTRYPOINT, deadline, instance)
    return RegopyEngine(ACCESS_ENTRYPOINT, deadline)


def _holder(
    settings: AgentSettings, clock: Clock, files: Files, decider: Decider, endings: PseudonymEndings
) -> SnapshotHolder:
    def activate(snapshot: Snapshot) -> None:
        if decider.policy_digest != snapshot.policy.digest:
            decider.load(snapshot.policy)
        endings.apply(snapshot.agreements, clock.now())

    store = SnapshotStore(settings.state / "snapshot", files)
    return SnapshotHolder(store, Lease(clock, settings.state / "time", files), activate)


def _pool_settings(settings: AgentSettings) -> PoolSettings:
    worker = settings.worker
    return PoolSettings(
        roots=settings.roots,
        workers=worker.processes,
        memory_mib=worker.memory_mib,
        threads=worker.threads,
        sandbox=worker.sandbox,
    )
