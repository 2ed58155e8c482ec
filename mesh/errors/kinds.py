"""The kinds of error, and the one table of what each means on the wire and at the prompt."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Kind:
    """What a caller should make of an error: its gRPC status (by name) and the CLI's exit code."""

    name: str
    grpc_status: str
    exit_code: int


class MeshError(Exception):
    """What the mesh refuses or could not do; the message reads well alone, with a next step."""

    kind: ClassVar[Kind]
    reason: ClassVar[str]

    def __init__(self, message: str, /, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata

    @property
    def reason_id(self) -> str:
        """The dotted id; a policy's own denial carries its id in the metadata."""
        return self.metadata.get("id", self.reason)


class Bug(MeshError):
    kind = Kind("bug", "INTERNAL", 1)


class NotFound(MeshError):
    kind = Kind("not found", "NOT_FOUND", 3)


class Invalid(MeshError):
    kind = Kind("invalid", "INVALID_ARGUMENT", 4)


class Conflict(MeshError):
    kind = Kind("conflict", "ALREADY_EXISTS", 5)


class Precondition(MeshError):
    kind = Kind("precondition", "FAILED_PRECONDITION", 5)


class Stale(MeshError):
    kind = Kind("stale", "ABORTED", 5)


class Denied(MeshError):
    kind = Kind("denied", "PERMISSION_DENIED", 6)


class Unauthenticated(MeshError):
    kind = Kind("unauthenticated", "UNAUTHENTICATED", 7)


class Exhausted(MeshError):
    kind = Kind("exhausted", "RESOURCE_EXHAUSTED", 8)


class Unavailable(MeshError):
    kind = Kind("unavailable", "UNAVAILABLE", 9)


KINDS: tuple[type[MeshError], ...] = (
    Bug,
    NotFound,
    Invalid,
    Conflict,
    Precondition,
    Stale,
    Denied,
    Unauthenticated,
    Exhausted,
    Unavailable,
)
USAGE_EXIT_CODE = 2
DIFFERENT_EXIT_CODE = 10
