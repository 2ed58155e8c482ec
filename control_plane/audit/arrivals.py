"""What came from a topic, sorted: to store, to keep, known already, and not to be taken. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from control_plane.audit import rules
from mesh.errors import EvidenceInvalid
from mesh.evidence.cloudevents import decode_kafka
from mesh.evidence.codec import decode_event, encode_event
from mesh.evidence.events import UsageEvent
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
    """An event and the record that brought it."""

    record: TopicRecord
    event: UsageEvent


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

    new: list[UsageEvent] = field(default_factory=list)
    ahead: list[UsageEvent] = field(default_factory=list)
    late: list[UsageEvent] = field(default_factory=list)
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
    event = decode_kafka(record.key, record.headers, record.value)
    domain, _, agent = event.source.removeprefix("/agents/").partition("/")
    if not (is_name(domain) and is_hyphenated(agent)):
        raise EvidenceInvalid("the record's ce_source names no agent")
    rules.check_batch([event], domain, agent)
    return AgentName(domain, agent), Arrival(record, event)


def sort(arrivals: Iterable[Arrival], known: Known) -> Sorted:
    """Sort one agent's arrivals. Whoever comes first under a sequence or an id, stays."""
    found = Sorted()
    held = {sequence: decode_event(record) for sequence, record in known.held.items()}
    ids = {**known.ids, **{event.id: sequence for sequence, event in held.items()}}
    fresh: dict[int, UsageEvent] = {}
    for arrival in arrivals:
        event, sequence = arrival.event, arrival.event.sequence
        twin = known.old.get(sequence) or known.held.get(sequence)
        if twin is None and sequence in fresh:
            twin = encode_event(fresh[sequence])
        if twin is not None:
            _compare(found, arrival, twin)
        elif ids.setdefault(event.id, sequence) != sequence:
            problem = f"event {sequence} has the id of event {ids[event.id]}; ids are unique"
            found.refused.append(arrival.record.refused(problem))
        else:
            fresh[sequence] = event
    found.new = run_after(known.stored, {**held, **fresh})
    last = known.stored + len(found.new)
    found.ahead = [event for sequence, event in sorted(fresh.items()) if sequence > last]
    found.late = [event for sequence, event in sorted(fresh.items()) if sequence <= known.stored]
    return found


def run_after(stored: int, events: Mapping[int, UsageEvent]) -> list[UsageEvent]:
    """The events that follow a sequence without a gap."""
    found: list[UsageEvent] = []
    while (event := events.get(stored + len(found) + 1)) is not None:
        found.append(event)
    return found


def _compare(found: Sorted, arrival: Arrival, twin: bytes) -> None:
    if encode_event(arrival.event) == twin:
        found.repeated += 1
        return
    problem = f"another event is stored under sequence {arrival.event.sequence}"
    found.refused.append(arrival.record.refused(f"{problem}; the log was forked or edited"))


def _line(text: str) -> str:
    """On one line, and not too long."""
    return " ".join(text.replace("\x00", "\ufffd").split())[:_MOST_CHARS]
