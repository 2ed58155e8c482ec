"""Enrolment and what an agent is, free of wire and tables."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mesh.errors import AgentIdTaken, RequestInvalid, TokenJoinInvalid
from mesh.names import HYPHENATED_RULE, is_hyphenated

JOIN_LIFETIME = timedelta(minutes=10)
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class JoinToken:
    """A one-time permission to enrol in a domain; `used_by` is the key that used it."""

    domain: str
    expires: datetime
    used_by: bytes | None


@dataclass(frozen=True, slots=True)
class Session:
    """One connection of an agent to a replica, which holds until an instant unless prolonged."""

    id: str
    replica: str
    until: datetime


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
