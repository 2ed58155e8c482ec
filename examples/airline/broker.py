"""A real Kafka broker as a process of ours: for tests, the demo and benchmarks."""

import contextlib
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from examples.airline.processes import ROOT, ProcessFailed

LIBRARIES = ROOT / ".cache" / "kafka"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
SASL_USER, SASL_PASSWORD = "agent", "only-for-tests"
TOPICS = {"mesh.usage.v1": 6, "mesh.changes.v1": 1}
# Below the ports that systems hand out by themselves, so that a broker finds its own again.
_PORTS = range(20_000, 32_000)
_JVM = ("-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
_LOGGING = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"


def missing_parts() -> str:
    """What a broker here would need and does not find; empty when all is there."""
    if shutil.which("java") is None:
        return "Kafka needs Java 17 or later: no `java` on PATH"
    if not (LIBRARIES / "libs").is_dir():
        return "Kafka's libraries are not here: `make kafka` fetches them (it needs `mvn`)"
    return ""


@dataclass(slots=True)
class Broker:
    """One broker in a folder of its own; it can be stopped, killed and started again.

    With `proxy`, the port of a proxy, clients that come by it are told to stay with it; the proxy
    forwards to `behind_proxy`.
    """

    folder: Path
    proxy: int = 0
    ports: tuple[int, ...] = ()
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def address(self) -> str:
        """Where clients connect, in the clear."""
        return f"127.0.0.1:{self.ports[0]}"

    @property
    def sasl_address(self) -> str:
        """Where clients connect that say who they are (SASL PLAIN)."""
        return f"127.0.0.1:{self.ports[1]}"

    @property
    def behind_proxy(self) -> str:
        """Where the proxy forwards to."""
        return f"127.0.0.1:{self.ports[3]}"

    def start(self) -> None:
        """Start, and wait until the broker answers and its topics are there.

        Raises ProcessFailed.
        """
        if not self.ports:
            self.ports = free_ports(4)
            self._format()
        self._spawn()
        self._await_answer()

    def stop(self) -> None:
        """Ask the broker to end in order; insist after a while."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None

    def kill(self) -> None:
        """SIGKILL: as a machine that loses power."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        """Stop the process without ending it: connections stay open and nobody answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused broker go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def _format(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        properties = self._properties()
        lines = "\n".join(f"{key}={value}" for key, value in properties.items())
        (self.folder / "kraft.properties").write_text(lines + "\n")
        tool = "kafka.tools.StorageTool"
        made = subprocess.run(
            _java(tool, "format", "--standalone", "-t", _CLUSTER, "-c", "kraft.properties"),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise ProcessFailed(f"Kafka's storage can't be made: {made.stdout}{made.stderr}")

    def _spawn(self) -> None:
        with (self.folder / "broker.log").open("ab") as log:
            self.process = subprocess.Popen(
                _java("kafka.Kafka", "kraft.properties"),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # An interrupt at the terminal is ours to handle: we end it in order.
                start_new_session=True,
            )

    def _await_answer(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            # The pause between two questions ends at once when the process does.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.1)
                break
            if _listens(self.ports[0]) and self._ready():
                return
        log = (self.folder / "broker.log").read_text(errors="replace")[-2000:]
        self.kill()
        raise ProcessFailed(f"Kafka did not start:\n{log}")

    def _ready(self) -> bool:
        try:
            with admin(self.address) as client:
                known = set(client.list_topics())
                wanted = {
                    topic: {"num_partitions": partitions, "replication_factor": 1}
                    for topic, partitions in TOPICS.items()
                    if topic not in known
                }
                if wanted:
                    client.create_topics(wanted, wait_for_metadata=True)
        except KafkaError:
            return False
        return True

    def _properties(self) -> Mapping[str, object]:
        clear, sasl, controller, behind = (f"127.0.0.1:{port}" for port in self.ports)
        clients = f"PLAINTEXT://{clear},SASL_PLAINTEXT://{sasl},CONTROLLER://{controller}"
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.bootstrap.servers": controller,
            "controller.listener.names": "CONTROLLER",
            "listeners": f"{clients},PROXIED://{behind}",
            "advertised.listeners": f"{clients},PROXIED://127.0.0.1:{self.proxy or self.ports[3]}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
            "SASL_PLAINTEXT:SASL_PLAINTEXT,PROXIED:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": f'{login} user_{SASL_USER}="'
            f'{SASL_PASSWORD}";',
            "log.dirs": self.folder / "data",
            "num.partitions": 1,
            "auto.create.topics.enable": "false",
            # A killed broker is let in again once its old session is over.
            "broker.session.timeout.ms": 1_000,
            "broker.heartbeat.interval.ms": 200,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "group.initial.rebalance.delay.ms": 0,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
        }


_CLUSTER = "bWVzaHdhcmRlbi10ZXN0cw"


@contextlib.contextmanager
def admin(address: str) -> Iterator[KafkaAdminClient]:
    """A client for topics and offsets. Raises KafkaError when the broker does not answer."""
    client = KafkaAdminClient(bootstrap_servers=address, bootstrap_timeout_ms=5_000)
    try:
        yield client
    finally:
        client.close()


def free_ports(count: int) -> tuple[int, ...]:
    """Ports that nobody listens on."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if _free(port):
            found.append(port)
        if len(found) == count:
            return tuple(found)
    raise ProcessFailed(f"no {count} ports are free on 127.0.0.1")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _java(main: str, *arguments: str) -> list[str]:
    java = shutil.which("java")
    if java is None:
        raise ProcessFailed(missing_parts())
    return [java, *_JVM, _LOGGING, "-cp", f"{LIBRARIES}/libs/*", main, *arguments]
