"""Events that take their places later than those after them, and what they are found by then."""

from collections.abc import Sequence
from datetime import datetime

from control_plane.audit import rebuild_store, store, witnessing
from control_plane.audit.appending import index_events
from control_plane.audit.arrivals import AgentName
from control_plane.database import Transaction
from control_plane.vault.vault import Vault
from mesh.evidence.codec import Recorded
from mesh.evidence.events import UsageEvent

_CHUNK = 200


def add_late_events(
    tx: Transaction,
    domain: str,
    agent: str,
    late: Sequence[Recorded],
    now: datetime,
    vault: Vault,
) -> None:
    """Store events of gaps; what they belong to is found as if they had come in time."""
    store.add_events(tx, domain, agent, late, now)
    witnessing.catch_up(tx, domain, agent, now)
    index_again(tx, AgentName(domain, agent), [one.event for one in late], (), now, vault)


def index_again(
    tx: Transaction,
    name: AgentName,
    new: Sequence[UsageEvent],
    gone: Sequence[str],
    now: datetime,
    vault: Vault,
) -> None:
    """Index the whole receipts of new events, and those of events that are gone."""
    domain, agent = name.domain, name.agent
    receipts = sorted({*gone, *(event.receipt for event in new)})
    fresh = {event.sequence for event in new}
    for some in (receipts[at : at + _CHUNK] for at in range(0, len(receipts), _CHUNK)):
        rebuild_store.forget_receipts(tx, domain, agent, some)
        events = store.events_of_receipts(tx, domain, agent, some)
        index_events(tx, name, events, fresh, now, vault)
