"""What came from a topic, sorted: to store, to keep, known already, and not to be taken. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from control_plane.audit import rules
from mesh.errors import EvidenceInvalid
from mesh.evidence.cloudevents import decode_kafka
from mesh.evidence.codec import Recorded, decode_event
from mesh.names import is_hyphenated, is_name

_MOST_CHARS = 200


@dataclass(frozen=True, slots=True)
class AgentName:
    """An agent: its domain, and its id there."""

    domain: str
    agent: str

    def __str__(self) -> str:
        return f"{self.domain}/{self.agent}"


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """A record and where it lies."""

    topic: str
    partition: int
    position: int
    key: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    value: bytes | None

    def refused(self, problem: str) -> "Refused":
        """What is noted of it when it is not taken."""
        key = (self.key or b"").decode(errors="replace")
        return Refused(self.topic, self.partition, self.position, _line(key), _line(problem))


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that was not taken, and why; the topic has it."""

    topic: str
    partition: int
    position: int
    key: str
    problem: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event and what brought it."""

    brought: TopicRecord
    event: Recorded


@dataclass(frozen=True, slots=True)
class Waiting:
    """An agent of which events are kept until those before them come."""

    name: AgentName
    count: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that never came, from the first to the last sequence."""

    first: int
    last: int


@dataclass(slots=True)
class Sorted:
    """What is to be done with an agent's arrivals."""

    new: list[Recorded] = field(default_factory=list)
    ahead: list[Recorded] = field(default_factory=list)
    late: list[Recorded] = field(default_factory=list)
    repeated: int = 0
    refused: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Known:
    """What is there of an agent: up to `stored`, records of old sequences, records kept."""

    stored: int
    old: Mapping[int, bytes]
    held: Mapping[int, bytes]
    ids: Mapping[str, int]


def read_arrival(record: TopicRecord) -> tuple[AgentName, Arrival]:
    """Whose event a record brings. Raises EvidenceInvalid when no agent wrote it."""
    found = decode_kafka(record.key, record.headers, record.value)
    name = _agent(found.event.source)
    if name is None:
        raise EvidenceInvalid("the record's ce_source names no agent")
    rules.check_batch([found.event], name.domain, name.agent)
    return name, Arrival(record, found)


def sort(arrivals: Iterable[Arrival], known: Known) -> Sorted:
    """Sort one agent's arrivals. Whoever comes first under a sequence or an id, stays."""
    found = Sorted()
    held = {
        sequence: Recorded(decode_event(record), record) for sequence, record in known.held.items()
    }
    ids = {**known.ids, **{one.event.id: sequence for sequence, one in held.items()}}
    fresh: dict[int, Recorded] = {}
    for arrival in arrivals:
        event = arrival.event.event
        sequence = event.sequence
        twin = known.old.get(sequence) or known.held.get(sequence)
        if twin is None and sequence in fresh:
            twin = fresh[sequence].record
        if twin is not None:
            _compare(found, arrival, twin)
        elif ids.setdefault(event.id, sequence) != sequence:
            problem = f"event {sequence} has the id of event {ids[event.id]}; ids are unique"
            found.refused.append(arrival.brought.refused(problem))
        else:
            fresh[sequence] = arrival.event
    found.new = run_after(known.stored, {**held, **fresh})
    last = known.stored + len(found.new)
    found.ahead = [fresh[sequence] for sequence in sorted(fresh) if sequence > last]
    found.late = [fresh[sequence] for sequence in sorted(fresh) if sequence <= known.stored]
    return found


def run_after(stored: int, events: Mapping[int, Recorded]) -> list[Recorded]:
    """The events that follow a sequence without a gap."""
    found: list[Recorded] = []
    while (event := events.get(stored + len(found) + 1)) is not None:
        found.append(event)
    return found


def _compare(found: Sorted, arrival: Arrival, twin: bytes) -> None:
    if arrival.event.record == twin:
        found.repeated += 1
        return
    problem = f"another event is stored under sequence {arrival.event.event.sequence}"
    found.refused.append(arrival.brought.refused(f"{problem}; the log was forked or edited"))


@lru_cache(maxsize=1_000)
def _agent(source: str) -> AgentName | None:
    domain, _, agent = source.removeprefix("/agents/").partition("/")
    return AgentName(domain, agent) if is_name(domain) and is_hyphenated(agent) else None


def _line(text: str) -> str:
    """On one line, and not too long."""
    return " ".join(text.replace("\x00", "\ufffd").split())[:_MOST_CHARS]
