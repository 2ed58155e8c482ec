"""Enrolment and what an agent is, free of wire and tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mesh.contracts.values import Classification
from mesh.errors import AgentIdTaken, RequestInvalid, TokenJoinInvalid
from mesh.leases import Leases
from mesh.names import HYPHENATED_RULE, is_hyphenated

JOIN_LIFETIME = timedelta(minutes=10)
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class JoinToken:
    """A one-time permission to enrol in a domain; `used_by` is the key that used it."""

    domain: str
    expires: datetime
    used_by: bytes | None


_MAX_GIVEN = 16


@dataclass(frozen=True, slots=True)
class Given:
    """When the leases that were given together with a revision end, at the latest."""

    revision: int
    ends: Mapping[Classification, datetime]


@dataclass(frozen=True, slots=True)
class Session:
    """One connection of an agent to a replica, which holds until an instant unless prolonged."""

    id: str
    replica: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """That an agent enforces a revision.

    `previous` is what it was at before on the same stream, None where it had not been connected.
    """

    revision: int
    digest: bytes
    previous: int | None


@dataclass(frozen=True, slots=True)
class AgentReport:
    """How an agent says it is; `products` are serialised ProductReports."""

    flight_uri: str = ""
    version: str = ""
    products: tuple[bytes, ...] = ()
    spooled_events: int = 0
    policy_digest: str = ""


@dataclass(frozen=True, slots=True)
class EnrolledAgent:
    """An agent as the control plane knows it."""

    domain: str
    id: str
    public_key: bytes
    enrolled: datetime
    contact: datetime
    connected: bool
    acknowledged_revision: int
    refusal: str
    report: AgentReport
    given: tuple[Given, ...]

    def lease_end(self, before: int, classification: Classification) -> datetime | None:
        """When it stops serving what a revision ended, if it never hears of it; None if at once.

        A lease is taken only together with its revision, so those of later ones don't count.
        """
        ends = [one.ends[classification] for one in self.given if one.revision < before]
        return max(ends, default=None)


def with_leases(
    given: tuple[Given, ...], revision: int, leases: Leases, until: datetime
) -> tuple[Given, ...]:
    """What an agent may hold, once leases are given with a revision until an instant.

    One that was given before does not end sooner because later ones are shorter.
    """
    ends = {one: until + leases[one] for one in Classification}
    found = {one.revision: one for one in given}
    known = found.pop(revision, None)
    found[revision] = Given(revision, ends if known is None else _later(known.ends, ends))
    kept = [found[one] for one in sorted(found)]
    while len(kept) > _MAX_GIVEN:
        first, second, *rest = kept
        kept = [Given(first.revision, _later(first.ends, second.ends)), *rest]
    return tuple(kept)


def _later(
    some: Mapping[Classification, datetime], others: Mapping[Classification, datetime]
) -> Mapping[Classification, datetime]:
    return {one: max(some[one], others[one]) for one in Classification}


def proof_text(join_token: str, agent_id: str) -> bytes:
    """What an agent signs to prove that it holds the key."""
    return f"meshwarden-enrol:{join_token}:{agent_id}".encode()


def check_proof(join_token: str, agent_id: str, public_key: bytes, proof: bytes) -> None:
    """Refuse a malformed id, and a key that is not the sender's.

    Raises RequestInvalid or TokenJoinInvalid.
    """
    if not is_hyphenated(agent_id):
        raise RequestInvalid(f"an agent's id is {HYPHENATED_RULE}: {agent_id!r}", field="id")
    if len(public_key) != _KEY_BYTES:
        raise RequestInvalid(
            f"public_key is an Ed25519 key of {_KEY_BYTES} bytes, not {len(public_key)}",
            field="public_key",
        )
    try:
        key = Ed25519PublicKey.from_public_bytes(public_key)
        key.verify(proof, proof_text(join_token, agent_id))
    except (InvalidSignature, ValueError) as error:
        raise TokenJoinInvalid(
            "the proof does not fit the key: sign `meshwarden-enrol:<join_token>:<id>` with it"
        ) from error


def check_join(token: JoinToken | None, public_key: bytes, now: datetime) -> JoinToken:
    """The join token, if it may be used now; a retry with the same key may use it again.

    Raises TokenJoinInvalid.
    """
    if token is None or now >= token.expires or token.used_by not in (None, public_key):
        raise TokenJoinInvalid(
            "the join token is unknown, used or older than ten minutes;"
            " an owner of the domain makes a new one with `mesh agent join-token`"
        )
    return token


def check_retry(token: JoinToken, known: EnrolledAgent | None) -> None:
    """Refuse a used token for an id that it did not enrol. Raises TokenJoinInvalid."""
    if token.used_by is not None and known is None:
        raise TokenJoinInvalid(
            "the join token has enrolled another agent, and each enrols one;"
            " an owner of the domain makes a new one with `mesh agent join-token`"
        )


def check_key(known: EnrolledAgent | None, public_key: bytes) -> None:
    """Refuse another key for an enrolled id. Raises AgentIdTaken."""
    if known is not None and known.public_key != public_key:
        raise AgentIdTaken(
            f"another key is enrolled as {known.domain}/{known.id}; choose another id",
            agent=f"{known.domain}/{known.id}",
        )
