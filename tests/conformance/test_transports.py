"""What every transport of evidence promises, whatever is downstream; each is one subclass."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain_agent.clock import SystemClock
from domain_agent.control.enrolment import enrol
from domain_agent.control.kafka import KafkaTransport
from domain_agent.control.link import AgentIdentity, Link
from domain_agent.control.shipping import AuditTransport, Shipper, Transport
from domain_agent.spool.files import Files
from domain_agent.spool.spool import Spool, SpoolLimits
from examples.airline.broker import Broker
from examples.airline.processes import Mesh
from mesh.errors import MeshError
from mesh.evidence.canonical import canonical
from mesh.evidence.cloudevents import decode_kafka
from mesh.evidence.codec import Draft, decode_event
from mesh.evidence.events import EventType
from mesh.kafka.settings import KafkaSettings
from tests.broker import Kept, fresh_topic, wait_until

SOURCE = "/agents/bookings/bookings-1"
NOW = datetime(2026, 11, 24, 22, 0, 0, 5, UTC)


def draft(number: int) -> Draft:
    name = f"0198b0c4-7a10-7000-8000-{number:012d}"
    data = canonical({"rows": number, "text": f"é {number}" * 5})
    return Draft(name, SOURCE, EventType.REFUSED, NOW, name, data)


def records(first: int, last: int) -> list[bytes]:
    return [draft(number).record(number) for number in range(first, last + 1)]


class Downstream(Protocol):
    """Where events go; it can be away for a while."""

    def transport(self) -> Transport:
        """A transport as a newly started agent has it."""

    def leave(self) -> None:
        """Be gone, without a word."""

    def come_back(self) -> None:
        """Be there again, with all that was stored."""

    def kept(self) -> list[bytes]:
        """The records that are stored, as often as they are, in order."""


def first_times(kept: list[bytes]) -> list[bytes]:
    """Without what is there again under the same id."""
    return list({decode_event(record).id: record for record in reversed(kept)}.values())[::-1]


def drain(transport: Transport, wanted: int) -> None:
    wait_until(lambda: transport.stored() >= wanted, f"{wanted} is stored")


class TransportContract:
    """The promises; a subclass says what is downstream."""

    @pytest.fixture
    def downstream(self) -> Iterator[Downstream]:
        raise NotImplementedError

    def test_what_it_says_is_stored_is_downstream_in_order(self, downstream: Downstream) -> None:
        transport = downstream.transport()
        sent = 0
        while sent < 900:
            sent += transport.send(sent + 1, records(sent + 1, sent + 300))
            stored = transport.stored()
            assert downstream.kept()[:stored] == records(1, stored)
        drain(transport, 900)
        assert transport.close() == 900
        assert downstream.kept() == records(1, 900)

    def test_it_goes_on_after_a_restart_and_repeats_only_equal_events(
        self, downstream: Downstream
    ) -> None:
        before = downstream.transport()
        before.send(1, records(1, 50))
        drain(before, 50)
        before.close()
        again = downstream.transport()
        # The agent's mark was behind: it sends from there, events that are stored included.
        again.send(21, records(21, 80))
        drain(again, 80)
        again.close()
        kept = downstream.kept()
        assert first_times(kept) == records(1, 80)
        assert set(kept) == set(records(1, 80))

    def test_bytes_that_are_no_record_are_not_dropped_silently(
        self, downstream: Downstream
    ) -> None:
        transport = downstream.transport()
        transport.send(1, records(1, 3))
        drain(transport, 3)
        with pytest.raises((MeshError, ValueError, KeyError)):
            transport.send(4, [*records(4, 5), b"{}"])
        assert transport.stored() == 3
        transport.send(4, records(4, 6))
        drain(transport, 6)
        transport.close()
        assert first_times(downstream.kept()) == records(1, 6)

    def test_nothing_is_stored_while_nobody_is_there(self, downstream: Downstream) -> None:
        transport = downstream.transport()
        downstream.leave()
        try:
            transport.send(1, records(1, 3))
        except MeshError as error:
            assert "127.0.0.1" in error.message
        assert transport.stored() == 0
        assert transport.close() == 0

    def test_a_spool_drains_across_absences_and_restarts(
        self, downstream: Downstream, tmp_path: Path
    ) -> None:
        written = 0
        spool = open_spool(tmp_path)

        def write(count: int) -> None:
            nonlocal written
            for _ in range(count):
                written += 1
                spool.append(draft(written))

        with shipping(spool, downstream):
            write(200)
            wait_until(lambda: spool.acknowledged == 200, "the first are acknowledged")
            downstream.leave()
            write(1_000)
        spool = open_spool(tmp_path)
        with shipping(spool, downstream):
            write(1_000)
            assert spool.acknowledged <= 200
            downstream.come_back()
            write(300)
            wait_until(lambda: spool.acknowledged == written, "everything is acknowledged")
        assert spool.backlog == 0
        assert first_times(downstream.kept()) == records(1, written)

    def test_a_spool_whose_mark_is_far_behind_drains(
        self, downstream: Downstream, tmp_path: Path
    ) -> None:
        spool = open_spool(tmp_path, segment=1_000)
        for number in range(1, 41):
            spool.append(draft(number))
        before = downstream.transport()
        before.send(1, records(1, 30))
        drain(before, 30)
        before.close()
        # It was killed before it knew: several segments are stored, and the mark says none is.
        spool = open_spool(tmp_path, segment=1_000)
        assert spool.acknowledged == 0
        with shipping(spool, downstream):
            wait_until(lambda: spool.acknowledged == 40, "everything is acknowledged")
        assert first_times(downstream.kept()) == records(1, 40)


def open_spool(folder: Path, segment: int = 64_000) -> Spool:
    """The agent's spool; it syncs to a disk that forgets, which no test here asks about."""
    return Spool(folder / "spool", Files(), SpoolLimits(segment=segment))


@contextmanager
def shipping(spool: Spool, downstream: Downstream) -> Iterator[None]:
    shipper = Shipper(spool, downstream.transport())
    shipper.start()
    yield
    shipper.stop()


class ControlPlane:
    """The embedded transport's end: a control plane as a process."""

    def __init__(self, mesh: Mesh, folder: Path) -> None:
        self._mesh, self._folder = mesh, folder
        self._identity = AgentIdentity("bookings", "bookings-1", Ed25519PrivateKey.generate())
        mesh.start_control_plane()
        self._address = mesh.server
        self._links: list[Link] = []
        token = mesh.mesh(mesh.admin, "agent", "join-token", "bookings").stdout.strip()
        enrol(self._link(), self._identity, token, folder / "trust.json", Files())

    def transport(self) -> Transport:
        return AuditTransport(self._link())

    def leave(self) -> None:
        assert self._mesh.control is not None
        self._mesh.control.process.kill()
        self._mesh.control.stop()

    def come_back(self) -> None:
        self._mesh.start_control_plane(self._address)

    def kept(self) -> list[bytes]:
        database = sqlite3.connect(self._folder / "control-plane" / "control.db")
        found = database.execute("SELECT document FROM usage_event ORDER BY sequence").fetchall()
        database.close()
        return [document for (document,) in found]

    def close(self) -> None:
        for link in self._links:
            link.close()

    def _link(self) -> Link:
        self._links.append(Link(self._address, self._identity, SystemClock(), None))
        return self._links[-1]


class Topic:
    """A broker's topic of its own."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self._broker, self._topic = broker, topic
        self._settings = KafkaSettings(brokers=(broker.address,))

    def transport(self) -> Transport:
        return KafkaTransport(self._settings, self._topic, "bookings/bookings-1", time.monotonic)

    def leave(self) -> None:
        self._broker.kill()

    def come_back(self) -> None:
        self._broker.start()

    def kept(self) -> list[bytes]:
        with Kept(self._broker.address, self._topic) as kept:
            return [
                decode_kafka(one.key, one.headers, one.value).record for one in kept.everything()
            ]


class TestControlPlane(TransportContract):
    @pytest.fixture
    def downstream(self, tmp_path: Path) -> Iterator[Downstream]:
        with Mesh(tmp_path) as mesh:
            control = ControlPlane(mesh, tmp_path)
            yield control
            control.close()


class TestKafka(TransportContract):
    @pytest.fixture
    def downstream(self, own_broker: Broker) -> Iterator[Downstream]:
        yield Topic(own_broker, fresh_topic(own_broker))
