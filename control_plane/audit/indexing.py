"""Storing what a topic brings: each event once, in the order of its log, never stuck at one."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from control_plane.audit import arrivals, store, topic_store
from control_plane.audit.appending import add_new_events
from control_plane.audit.arrivals import AgentName, Arrival, Gap, Known, Refused, TopicRecord
from control_plane.database import Transaction
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change
from control_plane.vault.vault import Vault
from mesh.errors import EvidenceInvalid
from mesh.evidence.codec import Recorded, decode_event

log = logging.getLogger(__name__)

ACTOR = "service:meshwarden"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, and for how many events of an agent, missing ones are waited for."""

    time: timedelta = timedelta(seconds=60)
    events: int = 5_000


class Indexing:
    """Takes records in transactions of its caller. Nothing that a record says stops the rest."""

    def __init__(
        self,
        vault: Vault,
        enrolled: Callable[[Transaction, AgentName], bool],
        patience: Patience,
    ) -> None:
        self._vault, self._enrolled, self._patience = vault, enrolled, patience
        self._known_agents: set[AgentName] = set()

    def take(self, tx: Transaction, records: Sequence[TopicRecord], now: datetime) -> int:
        """Store what the records bring; how many events are stored now."""
        refused: list[Refused] = []
        by_agent: dict[AgentName, list[Arrival]] = {}
        for record in records:
            try:
                name, arrival = arrivals.read_arrival(record)
                self._check_enrolled(tx, name)
            except EvidenceInvalid as error:
                refused.append(record.refused(error.message))
            else:
                by_agent.setdefault(name, []).append(arrival)
        stored = 0
        for name, arrived in by_agent.items():
            stored += self._take_of(tx, name, arrived, now)
        _report(tx, None, refused, now)
        return stored

    def refuse(self, tx: Transaction, record: TopicRecord, problem: str, now: datetime) -> None:
        """Leave a record out."""
        _report(tx, None, [record.refused(problem)], now)

    def overdue(self, tx: Transaction, now: datetime) -> list[AgentName]:
        """The agents whose missing events were waited for long enough."""
        return [
            one.name
            for one in topic_store.waiting(tx)
            if one.since + self._patience.time <= now or one.count > self._patience.events
        ]

    def skip_missing(self, tx: Transaction, name: AgentName, now: datetime) -> Gap | None:
        """Go on behind the events that did not come, and tell that they are missing."""
        stored = store.stored_sequence(tx, name.domain, name.agent)
        held = _decoded(topic_store.held(tx, name))
        if not held:
            return None
        gap = Gap(stored + 1, min(held) - 1)
        topic_store.add_gap(tx, name, gap, now)
        summary = f"events {gap.first} to {gap.last} of {name} never came; what follows is stored"
        timeline.record_change(tx, _alarm("evidence.missing", name, summary, now))
        self._store_run(tx, name, arrivals.run_after(gap.last, held), now)
        return gap

    def _check_enrolled(self, tx: Transaction, name: AgentName) -> None:
        if name not in self._known_agents:
            if not self._enrolled(tx, name):
                raise EvidenceInvalid(f"no agent {name} is enrolled")
            self._known_agents.add(name)

    def _take_of(
        self, tx: Transaction, name: AgentName, arrived: Sequence[Arrival], now: datetime
    ) -> int:
        found = arrivals.sort(arrived, _known(tx, name, arrived))
        self._store_run(tx, name, found.new, now)
        topic_store.hold(tx, name, found.ahead, now)
        if found.late:
            # It is evidence, but what it would have been found by is past: a rebuild finds it.
            store.add_events(tx, name.domain, name.agent, found.late, now)
            summary = f"{len(found.late)} events of {name} that were missing came late"
            timeline.record_change(tx, _alarm("evidence.late", name, summary, now))
        _report(tx, name, found.refused, now)
        return len(found.new) + len(found.late)

    def _store_run(
        self, tx: Transaction, name: AgentName, run: Sequence[Recorded], now: datetime
    ) -> None:
        if run:
            add_new_events(tx, name.domain, name.agent, run, now, self._vault)
            topic_store.release(tx, name, run[-1].event.sequence)


def _known(tx: Transaction, name: AgentName, arrived: Sequence[Arrival]) -> Known:
    domain, agent = name.domain, name.agent
    stored = store.stored_sequence(tx, domain, agent)
    events = [one.event.event for one in arrived]
    old = [event.sequence for event in events if event.sequence <= stored]
    return Known(
        stored=stored,
        old=store.stored_events(tx, domain, agent, old) if old else {},
        held=topic_store.held(tx, name),
        ids=store.stored_ids(tx, domain, agent, [event.id for event in events]),
    )


def _decoded(records: Mapping[int, bytes]) -> dict[int, Recorded]:
    return {
        sequence: Recorded(decode_event(record), record) for sequence, record in records.items()
    }


def _report(
    tx: Transaction, name: AgentName | None, refused: Sequence[Refused], now: datetime
) -> None:
    """Note each record that was not taken, and tell of them once."""
    if not refused:
        return
    topic_store.refuse(tx, refused, now)
    first = refused[0]
    place = f"{first.topic} at {first.partition}/{first.position}"
    summary = f"{len(refused)} records were not taken, the first of {place}: {first.problem}"
    log.error("%s", summary)
    timeline.record_change(tx, _alarm("evidence.refused", name, summary, now))


def _alarm(action: str, name: AgentName | None, summary: str, now: datetime) -> Change:
    return Change(
        action=action,
        actor=ACTOR if name is None else f"agent:{name}",
        time=now,
        reference="" if name is None else str(name),
        summary=summary,
        domain=None if name is None else name.domain,
    )
