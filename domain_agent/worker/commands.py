"""What the agent asks of a worker."""

from dataclasses import dataclass
from typing import TypeAlias

from domain_agent.enforcement.plan import Plan


@dataclass(frozen=True, slots=True)
class Parse:
    """A statement as its syntax tree, in JSON."""

    sql: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A checked tree as SQL, that SQL as a tree again, and the redacted tree as SQL."""

    checked: str
    redacted: str


@dataclass(frozen=True, slots=True)
class Inspect:
    """The columns of a file."""

    path: str
    format: str
    scan: str


@dataclass(frozen=True, slots=True)
class Describe:
    """The Arrow schema of what a SELECT returns under a plan; `parameters` may have no row."""

    plan: Plan
    sql: str
    parameters: bytes | None


@dataclass(frozen=True, slots=True)
class Run:
    """The rows that a SELECT returns under a plan."""

    plan: Plan
    sql: str
    parameters: bytes | None


Command: TypeAlias = Parse | Rewrite | Inspect | Describe | Run
