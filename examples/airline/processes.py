"""The airline's mesh as real processes: one control plane, four agents; all of them end with us."""

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

ROOT = Path(__file__).parents[2]
CONTRACTS = Path(__file__).parent / "contracts"
PURPOSES = Path(__file__).parent / "purposes.yaml"
DATA = ROOT / ".cache" / "airline"
OPA = ROOT / ".cache" / "bin" / "opa"
DOMAINS = ("operations", "weather", "fleet", "bookings")
START_SECONDS = 30.0
STOP_SECONDS = 10.0
TERMINAL_COLUMNS = 76


class ProcessFailed(Exception):
    """A process of the mesh ended, or did not say in time that it is ready."""


@dataclass(slots=True)
class Service:
    """One process whose log goes to a file and whose first line of output says it is ready."""

    name: str
    process: "subprocess.Popen[str]"
    log: Path
    ready: str = ""

    def wait_ready(self, word: str) -> str:
        """What follows the word on the line that says it is ready. Raises ProcessFailed."""
        watchdog = threading.Timer(START_SECONDS, self.process.kill)
        watchdog.start()
        try:
            assert self.process.stdout is not None
            for line in self.process.stdout:
                if line.startswith(word):
                    self.ready = line.removeprefix(word).strip()
                    return self.ready
        finally:
            watchdog.cancel()
        self.process.wait()
        raise ProcessFailed(f"{self.name} did not start:\n{self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        """Ask it to end, insist after a while."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def _policies() -> dict[str, str]:
    """OPA checks policies where it was fetched; without it they are told to be unchecked."""
    return {"opa": str(OPA)} if OPA.is_file() else {"unchecked": "allowed"}


def equal_leases(seconds: float) -> dict[str, float]:
    """The same lease for every classification."""
    return dict.fromkeys(("public", "internal", "confidential", "restricted"), seconds)


@dataclass(slots=True)
class Mesh:
    """A control plane and agents in a folder of their own. Leaving the context ends them all.

    `leases` are seconds by classification; those that are not stated are the control plane's own.
    With the address of a Kafka broker, evidence and changes go over its topics; with the URL of a
    PostgreSQL database, the control plane keeps its state there.
    """

    folder: Path
    leases: Mapping[str, float] = field(default_factory=dict)
    kafka: str = ""
    database: str = ""
    control: Service | None = None
    agents: dict[str, Service] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for service in reversed(list(self.agents.values())):
            service.stop()
        if self.control is not None:
            self.control.stop()

    @property
    def server(self) -> str:
        """Where the control plane listens."""
        assert self.control is not None
        return self.control.ready

    def start_control_plane(
        self, listen: str = "127.0.0.1:0", settings: Mapping[str, object] | None = None
    ) -> None:
        """Start the control plane and wait until it serves; `settings` are added to its file."""
        config = self.folder / "control-plane.yaml"
        state = self.folder / "control-plane"
        config.write_text(
            yaml.safe_dump(
                {
                    "listen": listen,
                    "state": str(state),
                    "leases": dict(self.leases),
                    "policies": _policies(),
                    **self._topics,
                    **({"database": self.database} if self.database else {}),
                    **(settings or {}),
                }
            )
        )
        arguments = ("control_plane", "--config", str(config))
        self.control = self._spawn("control-plane", arguments)
        self.control.wait_ready("listening on ")

    def start_agent(
        self,
        domain: str,
        data: Path,
        products: Path,
        inside: Sequence[str] = (),
        settings: Mapping[str, object] | None = None,
    ) -> None:
        """Start a domain's agent and wait until it serves; it enrols if it is new.

        `inside` is a command that starts it in surroundings of its own; `settings` are added to
        agent.yaml.
        """
        folder = self.folder / domain
        folder.mkdir(exist_ok=True)
        token = folder / "join.token"
        if not (folder / "state" / "trust.json").exists():
            joined = self.mesh(self.admin, "agent", "join-token", domain)
            token.write_text(joined.stdout)
        config = folder / "agent.yaml"
        config.write_text(
            yaml.safe_dump(
                {
                    "domain": domain,
                    "id": f"{domain}-1",
                    "control_plane": self.server,
                    "state": "state",
                    "products": str(products),
                    "roots": [str(data)],
                    "join_token_file": "join.token",
                    **self._topics,
                    **(settings or {}),
                }
            )
        )
        self.agents[domain] = self._spawn(
            f"{domain}-1", ("domain_agent", "--config", str(config)), inside
        )
        self.agents[domain].wait_ready("serving ")

    @property
    def config(self) -> Path:
        """The command line's own configuration in this mesh."""
        return self.folder / "mesh.yaml"

    @property
    def admin(self) -> str:
        """The token that the control plane wrote at its first start."""
        return (self.folder / "control-plane" / "admin.token").read_text().strip()

    def token(self, user: str, teams: Sequence[str] = (), duties: Sequence[str] = ()) -> str:
        """A token of the control plane for somebody."""
        options = [option for team in teams for option in ("--team", team)]
        options += [option for duty in duties for option in ("--duty", duty)]
        issued = self.mesh(self.admin, "token", "issue", "--for", f"user:{user}", *options)
        return issued.stdout.strip()

    def mesh(
        self, token: str, *arguments: str, expect: int = 0
    ) -> "subprocess.CompletedProcess[str]":
        """Run `mesh` as the token's owner. Raises ProcessFailed for another exit code."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name("mesh")), *arguments],
            cwd=self.folder,
            env=self._environment({"MESH_SERVER": self.server, "MESH_TOKEN": token}),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != expect:
            raise ProcessFailed(
                f"mesh {' '.join(arguments)}: exit {done.returncode}, expected {expect}\n"
                f"{done.stdout}{done.stderr}"
            )
        return done

    def mesh_on_terminal(self, token: str, *arguments: str, expect: int = 0) -> str:
        """Run `mesh` as on a terminal of 76 columns; what a person sees of it."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, TERMINAL_COLUMNS, 0, 0))
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("mesh")), *arguments],
            cwd=self.folder,
            env=self._environment(
                {
                    "MESH_SERVER": self.server,
                    "MESH_TOKEN": token,
                    **({} if sys.stdout.isatty() else {"NO_COLOR": "1"}),
                }
            ),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        seen = _everything(ours)
        if process.wait() != expect:
            raise ProcessFailed(
                f"mesh {' '.join(arguments)}: exit {process.returncode}, expected {expect}\n{seen}"
            )
        return seen

    @property
    def _topics(self) -> dict[str, object]:
        return {"kafka": {"brokers": [self.kafka]}} if self.kafka else {}

    def _spawn(self, name: str, module: Sequence[str], inside: Sequence[str] = ()) -> Service:
        log = self.folder / f"{name}.log"
        with log.open("a") as stderr:
            process = subprocess.Popen(
                [*inside, sys.executable, "-m", *module],
                cwd=self.folder,
                env=self._environment({}),
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                # An interrupt at the terminal is ours to handle: we end them in order.
                start_new_session=True,
            )
        return Service(name, process, log)

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("MESH_")}
        return {**kept, "PYTHONPATH": str(ROOT), "MESH_CONFIG": str(self.config), **more}


def _everything(terminal: int) -> str:
    """What is written to a terminal until its other end closes."""
    chunks: list[bytes] = []
    # Linux reports the other end's closing as an error.
    with os.fdopen(terminal, "rb", buffering=0) as file, contextlib.suppress(OSError):
        while chunk := file.read(65_536):
            chunks.append(chunk)
    lines = b"".join(chunks).decode(errors="replace").replace("\r\n", "\n").split("\n")
    # What a progress line said before it was written over is not seen.
    return "\n".join(line.rpartition("\r")[2].removeprefix(_ERASE) for line in lines)


_ERASE = "\033[K"


@contextlib.contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Turn SIGTERM into KeyboardInterrupt, so that both clean up."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def start_airline(mesh: Mesh, settings: Mapping[str, Mapping[str, object]] | None = None) -> None:
    """Everything up: purposes registered, four agents enrolled, their products published.

    The control plane runs already; `settings` are added to a domain's agent.yaml.
    """
    for purpose in yaml.safe_load(PURPOSES.read_text())["purposes"]:
        mesh.mesh(mesh.admin, "purpose", "add", purpose["id"], purpose["title"])
    for domain in DOMAINS:
        added = (settings or {}).get(domain)
        mesh.start_agent(domain, DATA / domain, CONTRACTS / domain, settings=added)
    wait_for_products(mesh, len(DOMAINS))


def wait_for_products(mesh: Mesh, count: int) -> None:
    """Wait until that many products are published. Raises ProcessFailed."""
    deadline = time.monotonic() + START_SECONDS
    listed: list[object] = []
    while time.monotonic() < deadline:
        listed = yaml.safe_load(mesh.mesh(mesh.admin, "-o", "json", "product", "list").stdout)
        if len(listed) >= count:
            return
        time.sleep(0.2)
    raise ProcessFailed(f"only {len(listed)} of {count} products are published")
