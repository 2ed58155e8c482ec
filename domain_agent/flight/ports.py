"""What the Flight service needs from the rest of the agent: who calls, and governed reads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mesh.identity.principal import Caller


class Verifier(Protocol):
    def verify(self, token: str) -> Caller:
        """Whom the token proves. Raises a mesh.errors.Unauthenticated."""


@dataclass(frozen=True, slots=True)
class ReadContext:
    """Who reads, for what, under which agreements they named, and from where.

    `revision` is the least that they want to be decided by; 0 means whatever is in force.
    """

    caller: Caller
    purpose: str | None
    agreements: frozenset[str]
    client: str
    revision: int = 0


class Prepared(Protocol):
    """A statement that passed the gate. Both schemas are IPC-encapsulated messages."""

    @property
    def schema(self) -> bytes: ...

    @property
    def parameter_schema(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Batch:
    """One IPC message, its header without a length prefix, and the rows it holds."""

    header: bytes
    body: bytes | memoryview
    rows: int


class Reading(Protocol):
    """A read under way, whose evidence is durable. Its schema is an IPC-encapsulated message."""

    @property
    def receipt(self) -> str: ...

    @property
    def schema(self) -> bytes: ...

    def __iter__(self) -> Iterator[Batch]:
        """The batches; raises a MeshError where the read ends early."""

    def close(self, reason: str | None) -> None:
        """Record the end: None after the last batch, else why it came early.

        Only the first call counts. Any thread may call it, also while another waits for a batch:
        that wait then ends.
        """


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A dataset as the caller would read it. The schema is an IPC-encapsulated message."""

    catalog: str
    schema: str
    name: str
    arrow_schema: bytes
    description: str


class Reads(Protocol):
    """Governed reads. Every refusal is a MeshError that already left its evidence."""

    def prepare(self, context: ReadContext, sql: str) -> Prepared:
        """Check and plan a statement."""

    def bind(self, context: ReadContext, prepared: Prepared, parameters: bytes) -> Prepared:
        """The statement with the schema it has for parameters of these types."""

    def open(self, context: ReadContext, prepared: Prepared, parameters: bytes | None) -> Reading:
        """Decide anew and start; `parameters` is an IPC stream of one row."""

    def tables(self, context: ReadContext) -> Sequence[TableInfo]:
        """What the caller may know about."""
