"""What becomes of evidence while nobody takes it: OPA's decision log beside an agent's."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import yaml

from examples.airline.broker import Broker
from examples.airline.processes import CONTRACTS, DATA, ROOT, Mesh
from mesh.decisions.opa_connections import opa_address
from tests.bench.decided import asked
from tests.bench.measuring import Figure, Section, Spread, Target
from tests.bench.surroundings import Surroundings
from tests.differential.opa_server import OpaServer, free_port
from tests.e2e.town import PASSENGERS, PURPOSE, start_town
from tests.unit.flight import wire

_SMALL_BUFFER = 64 * 1024
_DECISION = "/v1/data/mesh/access/decision"
_DOMAIN = "bookings"


@dataclass(frozen=True, slots=True)
class Outage:
    """Decisions at an even pace, and nobody to take their evidence for some seconds amid them."""

    seconds: float = 60.0
    around: float = 5.0
    pace: float = 50.0
    # Nothing more is coming when nothing has come for so long.
    patience: float = 30.0

    @property
    def decisions(self) -> int:
        """How many are asked for in all."""
        return round((self.seconds + 2 * self.around) * self.pace)


@dataclass(frozen=True, slots=True)
class Fate:
    """Of how many decisions the evidence is known to have arrived."""

    decisions: int
    lost: int


@dataclass(frozen=True, slots=True)
class Steps:
    """`decide` is one decision's id, None when it has to be asked again; the others are when."""

    decide: Callable[[int], str | None]
    lose: Callable[[], None]
    middle: Callable[[], None]
    restore: Callable[[], None]


def losses(given: Surroundings) -> list[Section]:
    """An outage of a minute, three times: once each."""
    outage = Outage()
    with Broker(given.folder / "losses-kafka") as broker:
        ours = agent_losses(given.folder / "losses", outage, broker)
    small = opa_losses(given.folder / "losses-small", outage, _SMALL_BUFFER, killed=False)
    large = opa_losses(given.folder / "losses-large", outage, None, killed=True)
    figures = [
        _figure("OPA, buffer of 64 KiB", small),
        _figure("OPA, no limit, killed meanwhile", large),
        _figure("agent, killed meanwhile", ours, Target(0)),
    ]
    note = (
        f"Each was asked for {ours.decisions:,} decisions, {outage.pace:.0f} a second, and the sink"
        f" of its evidence was killed for {outage.seconds:.0f} s of it: an HTTP server of OPA's,"
        " the broker and the control plane of the agent. Two of the three were themselves killed"
        " and started again in the middle of that. OPA's buffer has no limit unless one is set,"
        " and is in memory. The agent's decisions are governed reads over Flight."
    )
    return [Section("Evidence lost while its sink is away", figures, note)]


def opa_losses(folder: Path, outage: Outage, buffer: int | None, *, killed: bool) -> Fate:
    """A real OPA server with a decision log. `buffer` is in bytes, None for OPA's own default."""
    folder.mkdir()
    kept, port = folder / "kept", free_port()
    kept.touch()
    with ExitStack() as stack:
        sink = stack.enter_context(_Sink.started(port, kept))
        server = stack.enter_context(_logging_opa(folder, port, buffer))

        def restart() -> None:
            if killed:
                server.stop()
                server.start()

        steps = Steps(lambda number: _opa_decides(server, number), sink.kill, restart, sink.start)
        made = _run(outage, steps)
        return _fate(made, lambda: set(kept.read_text().split()), outage.patience)


def agent_losses(folder: Path, outage: Outage, broker: Broker | None) -> Fate:
    """An agent over the broker, or over its control plane alone; both are killed, and the agent."""
    folder.mkdir()
    with Mesh(folder, kafka=broker.address if broker else "") as mesh, ExitStack() as stack:
        town = start_town(mesh, (_DOMAIN,))
        issued = mesh.mesh(town.ana, "token", "issue", "--domain", _DOMAIN).stdout.strip()
        address = mesh.server
        reads = stack.enter_context(closing(_Reads(issued)))

        def lose() -> None:
            if broker is not None:
                broker.kill()
            assert mesh.control is not None
            mesh.control.process.kill()
            mesh.control.stop()

        def restart() -> None:
            agent = mesh.agents.pop(_DOMAIN)
            agent.process.kill()
            agent.stop()
            # Its address and settings are where the first start left them.
            mesh.start_agent(_DOMAIN, DATA / _DOMAIN, CONTRACTS / _DOMAIN)

        def restore() -> None:
            if broker is not None:
                broker.start()
            mesh.start_control_plane(address)

        steps = Steps(lambda _: reads.once(mesh.agents[_DOMAIN].ready), lose, restart, restore)
        made = _run(outage, steps)
        database = folder / "control-plane" / "control.db"
        return _fate(made, lambda: _receipts(database), outage.patience)


def _run(outage: Outage, steps: Steps) -> list[str]:
    """The ids of all decisions, asked for at the outage's pace."""
    made: list[str] = []
    began = time.monotonic()

    def decide_until(seconds: float) -> None:
        while len(made) < round(seconds * outage.pace):
            time.sleep(max(0.0, began + len(made) / outage.pace - time.monotonic()))
            decision = steps.decide(len(made))
            if decision is not None:
                made.append(decision)

    decide_until(outage.around)
    steps.lose()
    lost = time.monotonic()
    decide_until(outage.around + outage.seconds / 2)
    steps.middle()
    decide_until(outage.around + outage.seconds)
    time.sleep(max(0.0, lost + outage.seconds - time.monotonic()))
    steps.restore()
    decide_until(outage.seconds + 2 * outage.around)
    return made


def _fate(made: list[str], arrived: Callable[[], set[str]], patience: float) -> Fate:
    """Wait until all have arrived, or nothing more comes."""
    missing, quiet = set(made), time.monotonic() + patience
    while missing and time.monotonic() < quiet:
        time.sleep(0.2)
        left = missing - arrived()
        if len(left) < len(missing):
            quiet = time.monotonic() + patience
        missing = left
    return Fate(len(made), len(missing))


def _figure(what: str, fate: Fate, target: Target | None = None) -> Figure:
    return Figure(what, Spread.of([fate.lost]), "lost", target)


class _Sink:
    """The process that takes decision logs."""

    def __init__(self, port: int, kept: Path) -> None:
        self._port, self._kept = port, kept
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def started(cls, port: int, kept: Path) -> Iterator["_Sink"]:
        """A sink for the length of a block."""
        sink = cls(port, kept)
        sink.start()
        try:
            yield sink
        finally:
            sink.kill()

    def start(self) -> None:
        """Start it; OPA asks again until it answers."""
        command = [sys.executable, "-m", "tests.bench.sink", str(self._port), str(self._kept)]
        self._process = subprocess.Popen(command, cwd=ROOT)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def _logging_opa(folder: Path, sink: int, buffer: int | None) -> Iterator[OpaServer]:
    reporting: dict[str, int] = {"min_delay_seconds": 1, "max_delay_seconds": 2}
    if buffer is not None:
        reporting["buffer_size_limit_bytes"] = buffer
    config = {
        "services": {"sink": {"url": f"http://127.0.0.1:{sink}"}},
        "decision_logs": {"service": "sink", "reporting": reporting},
    }
    written = folder / "opa.yaml"
    written.write_text(yaml.safe_dump(config))
    options = ("--config-file", str(written), str(ROOT / "policies" / "library"))
    server = OpaServer(free_port(), options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _opa_decides(server: OpaServer, number: int) -> str | None:
    body = json.dumps({"input": asked(number % 50).document})
    connection = opa_address(server.url).connection(10)
    with closing(connection), suppress(OSError):
        connection.request("POST", _DECISION, body, {"content-type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        assert answer["result"]["allow"], answer
        return str(answer["decision_id"])
    return None


class _Reads:
    """Ana's governed reads, over one connection to wherever the agent serves."""

    def __init__(self, token: str) -> None:
        self._metadata = (("authorization", f"Bearer {token}"), ("x-mesh-purpose", PURPOSE))
        self._uri = ""
        self._channel: grpc.Channel | None = None

    def close(self) -> None:
        """Leave."""
        if self._channel is not None:
            self._channel.close()

    def once(self, uri: str) -> str | None:
        """The receipt of one read that came whole; None when the agent was away."""
        if self._channel is None or uri != self._uri:
            self.close()
            self._uri = uri
            self._channel = grpc.insecure_channel(uri.partition("://")[2])
        try:
            call = wire.stream(self._channel, self._metadata, f"{PASSENGERS} LIMIT 1")
            receipt = dict(call.initial_metadata())["x-mesh-receipt"]
            for _ in call:
                pass
        except grpc.RpcError:
            return None
        return str(receipt)


def _receipts(database: Path) -> set[str]:
    """The receipts of reads whose start and end the audit has."""
    query = "SELECT id FROM receipt WHERE state = 'completed'"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return {str(row[0]) for row in connection.execute(query)}
