"""Waiting until every agent of a product's domain enforces what became of an agreement."""

from collections.abc import Sequence
from datetime import UTC, datetime

from cli.client import Client
from cli.output import Listing, Section
from cli.records import instant
from cli.session import Session
from cli.text import instant as written
from mesh.errors import AgreementUnenforced
from mesh.v1 import agreements_pb2

_COLUMNS = ("agent", "acknowledged", "seconds", "lease_end")


def await_enforcements(
    session: Session, client: Client, agreement_id: str
) -> list[agreements_pb2.Enforcement]:
    """How it stands with each agent, once all enforce it or the time for an answer is over."""
    request = agreements_pb2.GetAgreementRequest(id=agreement_id)
    return session.environment.awaited(
        lambda: list(client.call(client.agreements.GetAgreement, request).enforcements),
        lambda found: all(one.enforced for one in found),
        client.timeout,
    )


def enforcement_record(
    found: Sequence[agreements_pb2.Enforcement], changed: datetime
) -> dict[str, object]:
    """All agents, and the time from the change to the last acknowledgement; None without any."""
    agents = [_agent(one, changed) for one in found]
    seconds = [one["seconds"] for one in agents if isinstance(one["seconds"], float)]
    return {"enforced_after": max(seconds, default=None), "agents": agents}


def agents_section(record: dict[str, object]) -> Section:
    """The agents as a part of a page."""
    agents = record["agents"]
    assert isinstance(agents, list)  # noqa: S101 - as enforcement_record made it
    return Section("Agents", Listing(agents, _COLUMNS, "The domain has no agent."))


def unenforced(
    agreement_id: str, found: Sequence[agreements_pb2.Enforcement]
) -> AgreementUnenforced | None:
    """Names the agents that don't enforce it, and when each refuses by itself; None if all do."""
    late = [one for one in found if not one.enforced]
    if not late:
        return None
    told = "; ".join(
        f"{one.agent} does not enforce it yet, and refuses by itself from"
        f" {written(one.lease_end_time.ToDatetime(tzinfo=UTC))} at the latest"
        for one in late
    )
    return AgreementUnenforced(
        f"the agreement is revoked, but {told}; `mesh agent list` shows how the agents are",
        agreement=agreement_id,
        agents=",".join(one.agent for one in late),
    )


def _agent(message: agreements_pb2.Enforcement, changed: datetime) -> dict[str, object]:
    acknowledged = instant(message.acknowledge_time)
    return {
        "agent": message.agent,
        "enforced": message.enforced,
        "acknowledged": acknowledged,
        "seconds": (acknowledged - changed).total_seconds() if acknowledged else None,
        "lease_end": instant(message.lease_end_time),
    }
