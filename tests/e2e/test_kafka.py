"""A mesh whose evidence and changes go over a real broker, as others read them there."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from kafka.consumer.fetcher import ConsumerRecord

from examples.airline.broker import Broker
from examples.airline.processes import CONTRACTS, DATA, ROOT, Mesh
from mesh.evidence.cloudevents import CHANGES_TOPIC, USAGE_TOPIC, decode_kafka
from mesh.evidence.codec import encode_event
from mesh.evidence.events import EventType
from tests.broker import Kept, check_parts
from tests.e2e.town import PASSENGERS, Town, start_town, wait_until

ONE = f"{PASSENGERS} LIMIT 1"
SCHEMAS = ROOT / "docs" / "schemas"
WATCH = ROOT / "docs" / "examples" / "watch_usage.py"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    check_parts()
    with Broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="module")
def town(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Mesh(tmp_path_factory.mktemp("mesh"), kafka=broker.address) as mesh:
        yield start_town(mesh, ("bookings",))


def kept(broker: Broker, topic: str) -> list[ConsumerRecord]:
    with Kept(broker.address, topic) as kept:
        return kept.everything()


def attribute(record: ConsumerRecord, name: str) -> str:
    value: bytes = dict(record.headers)[f"ce_{name}"]
    return value.decode()


def completed(town: Town) -> int:
    """How many reads are in the audit with their end; -1 while one is without."""
    actions = [row["action"] for row in town.entries("--kind", "read", "--limit", "500")]
    return -1 if "read.started" in actions else actions.count("read.completed")


def test_a_security_team_watches_with_twenty_lines(town: Town, broker: Broker) -> None:
    code = WATCH.read_text().partition('"""\n\n')[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 22
    watching = subprocess.Popen(
        [sys.executable, str(WATCH), broker.address], stdout=subprocess.PIPE, text=True
    )
    try:
        town.reader().read(ONE)
        town.reader(purpose="marketing").refusal(ONE)
        assert watching.stdout is not None
        line = watching.stdout.readline()
    finally:
        watching.kill()
        watching.communicate()
    assert "/agents/bookings/bookings-1" in line
    assert "purpose.mismatch" in line or "agreement" in line or "restricted columns" in line


def test_evidence_survives_the_broker_the_agent_and_the_control_plane(
    town: Town, broker: Broker
) -> None:
    mesh, reader = town.mesh, town.reader()
    before = completed(town)
    for _ in range(3):
        reader.read(ONE)
    wait_until(lambda: completed(town) == before + 3, "the reads are in the audit")

    broker.kill()
    for _ in range(3):
        reader.read(ONE)
    agent = mesh.agents.pop("bookings")
    agent.process.kill()
    agent.stop()
    mesh.start_agent("bookings", DATA / "bookings", CONTRACTS / "bookings")
    town.reader().read(ONE)
    address = mesh.server
    assert mesh.control is not None
    mesh.control.process.kill()
    mesh.control.stop()
    mesh.start_control_plane(address)
    broker.start()
    town.reader().read(ONE)
    wait_until(lambda: completed(town) == before + 8, "all reads are in the audit", 60)

    events = [decode_kafka(r.key, r.headers, r.value).event for r in kept(broker, USAGE_TOPIC)]
    by_sequence = {event.sequence: encode_event(event) for event in events}
    assert {event.sequence: encode_event(event) for event in reversed(events)} == by_sequence
    assert list(by_sequence) == list(range(1, len(by_sequence) + 1))


def test_the_audit_is_made_again_from_the_topic(town: Town) -> None:
    def reads() -> list[tuple[object, ...]]:
        rows = town.entries("--kind", "read", "--limit", "500")
        fields = ("reference", "action", "actor", "product", "purpose", "rows", "summary")
        return sorted(tuple(row[field] for field in fields) for row in rows)

    mesh = town.mesh
    town.reader().read(ONE)
    wait_until(lambda: completed(town) > 0, "the read is in the audit")
    before, address = reads(), mesh.server
    assert mesh.control is not None
    mesh.control.stop()
    config = str(mesh.folder / "control-plane.yaml")
    options = ("--config", config, "--listen", address, "--rebuild-audit")
    rebuilding = subprocess.Popen(
        [sys.executable, "-m", "control_plane", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert rebuilding.stdout is not None
        assert rebuilding.stdout.readline() == f"listening on {address}\n"
        wait_until(lambda: reads() == before, "the audit tells the same as before", 30)
    finally:
        rebuilding.terminate()
        told = rebuilding.communicate()[1]
        mesh.start_control_plane(address)
    assert "bookings/bookings-1: made again from the topic" in told


def test_what_is_in_the_topics_is_what_their_schemas_say(town: Town, broker: Broker) -> None:
    reader = town.reader()
    reader.read(ONE)
    reader.refusal("SELECT secret FROM reservations.passengers")
    town.mesh.mesh(town.olga, "access", "revoke", town.agreement, "--note", "a test")
    wanted = {
        EventType.KEY_CREATED,
        EventType.STARTED,
        EventType.COMPLETED,
        EventType.REFUSED,
        EventType.PSEUDONYM_KEY_DESTROYED,
    }

    def types() -> set[str]:
        return {attribute(record, "type") for record in kept(broker, USAGE_TOPIC)}

    wait_until(lambda: wanted <= types(), "each kind of event is in the topic", 30)
    schema = json.loads((SCHEMAS / "usage.schema.json").read_text())
    assert set(schema["$defs"]) == {kind.value for kind in EventType}
    for record in kept(broker, USAGE_TOPIC):
        check(schema["$defs"][attribute(record, "type")], json.loads(record.value))
        assert b'"ana"' not in record.value
        assert b"user:ana" not in record.value

    changes = kept(broker, CHANGES_TOPIC)
    form = json.loads((SCHEMAS / "changes.schema.json").read_text())
    for record in changes:
        check(form, json.loads(record.value))
    assert {"agent.enrolled", "contract.published", "agreement.approved", "agreement.revoked"} <= {
        json.loads(record.value)["action"] for record in changes
    }
    revisions = [int(attribute(record, "revision")) for record in changes]
    assert revisions == list(range(1, len(revisions) + 1))
    assert [attribute(record, "id") for record in changes] == [f"change-{n}" for n in revisions]


def check(schema: dict[str, Any], value: dict[str, Any]) -> None:
    """Raise when the value is not what its schema says, or has a field that it does not tell of."""
    jsonschema_rs.validate(schema, value)
    assert set(value) <= set(schema["properties"])
