"""What came from a topic, sorted: to store, to keep, known already, and not to be taken. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from control_plane.audit import rules
from mesh.errors import EvidenceInvalid
from mesh.evidence.cloudevents import decode_kafka
from mesh.evidence.codec import Recorded
from mesh.kafka.unpacking import problem_of
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
    first: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that never came, from the first to the last sequence."""

    first: int
    last: int


@dataclass(slots=True)
class Sorted:
    """What is to be done with an agent's arrivals; `others` are not taken, but may be right."""

    new: list[Recorded] = field(default_factory=list)
    ahead: list[Recorded] = field(default_factory=list)
    late: list[Recorded] = field(default_factory=list)
    others: list[Recorded] = field(default_factory=list)
    repeated: int = 0
    refused: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Known:
    """What is there of an agent: up to `stored`, records of the arrived sequences, ids.

    `reach` is how far its log can be, and `room` how many more may be kept beyond `witnessed`.
    """

    stored: int
    witnessed: int
    verified: int
    reach: int
    room: int
    records: Mapping[int, bytes]
    ids: Mapping[str, int]


def read_arrival(record: TopicRecord) -> tuple[AgentName, Arrival]:
    """Whose event a record brings. Raises EvidenceInvalid when no agent wrote it."""
    left_out = problem_of(record.headers)
    if left_out is not None:
        raise EvidenceInvalid(left_out)
    found = decode_kafka(record.key, record.headers, record.value)
    name = _agent(found.event.source)
    if name is None:
        raise EvidenceInvalid("the record's ce_source names no agent")
    rules.check_batch([found.event], name.domain, name.agent)
    return name, Arrival(record, found)


def sort(arrivals: Iterable[Arrival], known: Known) -> Sorted:
    """Sort one agent's arrivals. Whoever comes first under a sequence or an id, stays for now."""
    found = Sorted()
    ids = dict(known.ids)
    fresh: dict[int, Arrival] = {}
    for arrival in arrivals:
        event = arrival.event.event
        sequence = event.sequence
        twin = known.records.get(sequence)
        if twin is None and sequence in fresh:
            twin = fresh[sequence].event.record
        if twin is not None:
            _compare(found, arrival, twin)
        elif sequence > known.reach:
            problem = f"event {sequence} is beyond what the agent can have written by now"
            found.refused.append(arrival.brought.refused(f"{problem}, {known.reach}"))
        elif ids.setdefault(event.id, sequence) != sequence:
            problem = f"event {sequence} has the id of event {ids[event.id]}; ids are unique"
            found.refused.append(arrival.brought.refused(problem))
            found.others.append(arrival.event)
        else:
            fresh[sequence] = arrival
    events = {sequence: fresh[sequence].event for sequence in sorted(fresh)}
    found.new = run_after(known.stored, events)
    last = known.stored + len(found.new)
    found.late = [one for sequence, one in events.items() if sequence <= known.stored]
    for sequence, one in events.items():
        if last < sequence <= known.witnessed:
            found.ahead.append(one)
        elif sequence > max(last, known.witnessed):
            _hold(found, fresh[sequence], known.room)
    return found


def _hold(found: Sorted, arrival: Arrival, room: int) -> None:
    """Keep what no checkpoint covers yet, as long as there is room for such."""
    if len(found.ahead) < room:
        found.ahead.append(arrival.event)
        return
    problem = f"event {arrival.event.event.sequence} came before others, and too many are kept"
    found.refused.append(arrival.brought.refused(problem))


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
    found.others.append(arrival.event)
    problem = f"another event is stored under sequence {arrival.event.event.sequence}"
    found.refused.append(arrival.brought.refused(f"{problem}; the log was forked or edited"))


@lru_cache(maxsize=1_000)
def _agent(source: str) -> AgentName | None:
    domain, _, agent = source.removeprefix("/agents/").partition("/")
    return AgentName(domain, agent) if is_name(domain) and is_hyphenated(agent) else None


def _line(text: str) -> str:
    """On one line, and not too long."""
    return " ".join(text.replace("\x00", "\ufffd").split())[:_MOST_CHARS]
