"""A control plane that holds two logs, signed for but for the last record of one."""

import sqlite3
from datetime import UTC, datetime, timedelta

from mesh.evidence.codec import decode_event
from mesh.v1 import audit_pb2
from mesh.wire.events import event_to_proto
from tests.unit.control_plane.running import Client, Plane
from tests.unit.evidence.logs import Log, log

# However long a run takes: what is not signed for is not old yet.
LATER = datetime.now(UTC) + timedelta(days=1)
BOOKINGS = log("bookings/bookings-1", 30, start=LATER)
FLEET = log("fleet/fleet-1", 4, seed=8, start=LATER)


def enrolled(plane: Plane, one: Log) -> Client:
    return plane.agent(one.domain, one.agent, one.key)


def append(agent: Client, one: Log, after: int, until: int) -> None:
    events = [event_to_proto(decode_event(record)) for record in one.records[after:until]]
    agent.audit.AppendEvents(audit_pb2.AppendEventsRequest(events=events))


def sign(agent: Client, one: Log, size: int) -> None:
    agent.audit.ReportEvidence(audit_pb2.ReportEvidenceRequest(checkpoint=one.note(size)))


def fill(plane: Plane) -> None:
    """Ten and eleven records of one log, three minutes apart, and four of the other."""
    bookings, fleet = enrolled(plane, BOOKINGS), enrolled(plane, FLEET)
    append(bookings, BOOKINGS, 0, 10)
    sign(bookings, BOOKINGS, 10)
    plane.clock.ahead = timedelta(minutes=3)
    append(bookings, BOOKINGS, 10, 21)
    sign(bookings, BOOKINGS, 20)
    append(fleet, FLEET, 0, 4)
    sign(fleet, FLEET, 4)


def change(plane: Plane, *statements: str) -> None:
    """Change the database behind the control plane's back."""
    with sqlite3.connect(plane.state / "control.db") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
