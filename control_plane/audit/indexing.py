"""Storing what a topic brings: each event once, in the order of its log, never stuck at one."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from control_plane.audit import arrivals, candidate_store, disputing, store, topic_store, tree_store
from control_plane.audit.appending import add_new_events
from control_plane.audit.arrivals import AgentName, Arrival, Gap, Known, Refused, TopicRecord
from control_plane.audit.reindexing import add_late_events
from control_plane.database import Transaction
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change
from control_plane.vault.vault import Vault
from mesh.errors import EvidenceInvalid
from mesh.evidence.codec import Recorded, decode_event

log = logging.getLogger(__name__)

ACTOR = "service:meshwarden"
_AT_ONCE = 2_000
_TRIED_AGAIN = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, and for how many events of an agent, missing ones are waited for."""

    time: timedelta = timedelta(seconds=60)
    events: int = 5_000
    # How far beyond what is stored, and what the agent signed, its events may be.
    reach: int = 100_000


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
        self._tried: dict[AgentName, datetime] = {}

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

    def begin_again(
        self, tx: Transaction, partition: str, read: int, end: int, now: datetime
    ) -> None:
        """Tell that a partition ends before what was read of it; what is known is not repeated."""
        summary = (
            f"{partition} was read up to {read} and ends at {end}: the topic was made anew or cut;"
            " it is read again from its start"
        )
        log.error("%s", summary)
        timeline.record_change(tx, _alarm("evidence.topic_reset", None, summary, now))

    def overdue(self, tx: Transaction, now: datetime) -> list[AgentName]:
        """The agents whose missing events were waited for long enough."""
        return [
            one.name
            for one in topic_store.waiting(tx)
            if (one.since + self._patience.time <= now or one.count > self._patience.events)
            and one.first <= _witnessed(tx, one.name)
        ]

    def disputed(self, tx: Transaction, now: datetime) -> list[AgentName]:
        """The agents of which several records came under one sequence; each again after a while."""
        return [
            name
            for name in candidate_store.disputed(tx)
            if abs(now - self._tried.get(name, datetime.min.replace(tzinfo=UTC))) >= _TRIED_AGAIN
        ]

    def settle(self, tx: Transaction, name: AgentName, now: datetime) -> None:
        """Store what the agent signed in the place of what it did not."""
        self._tried[name] = now
        disputing.settle(tx, name, now, self._vault)

    def skip_missing(self, tx: Transaction, name: AgentName, now: datetime) -> Gap | None:
        """Go on behind the events that did not come, and tell that they are missing.

        Only what the agent signed is known to exist: nothing is missing before what it did not.
        """
        stored = store.stored_sequence(tx, name.domain, name.agent)
        # The agent can have sent them on another way since.
        topic_store.release(tx, name, stored)
        first = next((sequence for sequence, _ in topic_store.held(tx, name)), None)
        if first is None or first > _witnessed(tx, name):
            return None
        if first == stored + 1:
            self._store_run(tx, name, stored, [], now)
            return None
        gap = Gap(stored + 1, first - 1)
        topic_store.add_gap(tx, name, gap, now)
        summary = f"events {gap.first} to {gap.last} of {name} never came; what follows is stored"
        timeline.record_change(tx, _alarm("evidence.missing", name, summary, now))
        self._store_run(tx, name, gap.last, [], now)
        return gap

    def _check_enrolled(self, tx: Transaction, name: AgentName) -> None:
        if name not in self._known_agents:
            if not self._enrolled(tx, name):
                raise EvidenceInvalid(f"no agent {name} is enrolled")
            self._known_agents.add(name)

    def _take_of(
        self, tx: Transaction, name: AgentName, arrived: Sequence[Arrival], now: datetime
    ) -> int:
        known = self._known(tx, name, arrived)
        found = arrivals.sort(arrived, known)
        topic_store.hold(tx, name, found.ahead, now)
        stored = self._store_run(tx, name, known.stored, found.new, now)
        if found.late:
            add_late_events(tx, name.domain, name.agent, found.late, now, self._vault)
            summary = f"{len(found.late)} events of {name} that were missing came late"
            timeline.record_change(tx, _alarm("evidence.late", name, summary, now))
        undecided = [one for one in found.others if one.event.sequence > known.verified]
        candidate_store.keep(tx, name, undecided, now)
        _report(tx, name, found.refused, now)
        return stored + len(found.late)

    def _store_run(
        self, tx: Transaction, name: AgentName, last: int, new: Sequence[Recorded], now: datetime
    ) -> int:
        """Store what follows, and what was kept and follows that; how many events that is."""
        run, first = [*new], last
        for sequence, record in topic_store.held(tx, name, last + len(run)):
            if sequence != last + len(run) + 1:
                break
            run.append(Recorded(decode_event(record), record))
            if len(run) >= _AT_ONCE:
                last = self._store(tx, name, run, now)
                run = []
        if run:
            last = self._store(tx, name, run, now)
        return last - first

    def _store(
        self, tx: Transaction, name: AgentName, run: Sequence[Recorded], now: datetime
    ) -> int:
        add_new_events(tx, name.domain, name.agent, run, now, self._vault)
        last = run[-1].event.sequence
        topic_store.release(tx, name, last)
        return last

    def _known(self, tx: Transaction, name: AgentName, arrived: Sequence[Arrival]) -> Known:
        domain, agent = name.domain, name.agent
        stored = store.stored_sequence(tx, domain, agent)
        log = tree_store.find(tx, domain, agent)
        witnessed = log.witnessed_size
        events = [one.event.event for one in arrived]
        sequences = [event.sequence for event in events]
        kept = topic_store.held_ids(tx, name)
        beyond = sum(sequence > witnessed for sequence in kept.values())
        old = [sequence for sequence in sequences if sequence <= stored]
        return Known(
            stored=stored,
            witnessed=witnessed,
            verified=log.verified_size,
            reach=max(stored, witnessed) + self._patience.reach,
            room=4 * self._patience.events - beyond,
            records={
                **topic_store.held_of(tx, name, sequences if kept else []),
                **(store.stored_events(tx, domain, agent, old) if old else {}),
            },
            ids={**kept, **store.stored_ids(tx, domain, agent, [event.id for event in events])},
        )


def _witnessed(tx: Transaction, name: AgentName) -> int:
    """Up to which event the agent has signed its log."""
    return tree_store.find(tx, name.domain, name.agent).witnessed_size


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
