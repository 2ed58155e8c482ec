"""A real PostgreSQL server as a process of ours: for tests, the demo and benchmarks."""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from examples.airline.processes import ProcessFailed

START_SECONDS = 60.0
STOP_SECONDS = 20.0
_PORT = 5432
_TRUST = ("--auth=trust", "--encoding=UTF8", "--username=postgres", "--no-sync")


def binaries() -> Path | None:
    """Where the programs of the package `pgserver` are; None where it is not installed."""
    found = importlib.util.find_spec("pgserver")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "pginstall" / "bin"


def missing_parts() -> str:
    """What a server here would need and does not find; empty when all is there."""
    if binaries() is None:
        return "PostgreSQL's programs are not here: `make install` fetches them (`pgserver`)"
    return ""


@dataclass(slots=True)
class Postgres:
    """One server on a socket in a folder of its own; it can be killed and started again."""

    settings: Mapping[str, str] = field(default_factory=dict)
    folder: Path = field(init=False)
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def __post_init__(self) -> None:
        # Not below the caller's folder: its path may be too long for a socket.
        self.folder = Path(tempfile.mkdtemp(prefix="mesh-pg-"))

    def __enter__(self) -> Self:
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.stop()
            shutil.rmtree(self.folder)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def url(self, database: str = "postgres") -> str:
        """How the control plane is told about a database."""
        return f"postgresql://postgres@/{database}?host={self.folder}&port={_PORT}"

    def start(self) -> None:
        """Start, and wait until it answers. Raises ProcessFailed."""
        deadline = time.monotonic() + START_SECONDS
        process = self._spawn()
        while not self._answers():
            if time.monotonic() > deadline:
                log = (self.folder / "log").read_text(errors="replace")
                raise ProcessFailed(f"PostgreSQL did not start:\n{log[-2000:]}")
            # After a kill, processes of before may hold its memory for a moment.
            if process.poll() is not None:
                process = self._spawn()
            time.sleep(0.02)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        options = {"listen_addresses": "", "unix_socket_directories": str(self.folder)}
        arguments = [f"-c{key}={value}" for key, value in {**options, **self.settings}.items()]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*_unprivileged(), _program("postgres"), "-D", str(self._data), *arguments],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.process

    def stop(self) -> None:
        """End it in order, open connections included; insist after a while."""
        process = self.process
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.process = None

    def kill(self) -> None:
        """End it at once, as a crash would; `start` then recovers."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def create(self, template: str = "template0") -> str:
        """A new database, a copy of a template; its name."""
        name = f"mesh_{secrets.token_hex(8)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _initialise(self) -> None:
        self._data.mkdir()
        if os.getuid() == 0:
            for path in (self.folder, self._data):
                shutil.chown(path, "nobody")
        done = subprocess.run(
            [*_unprivileged(), _program("initdb"), "-D", str(self._data), *_TRUST],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ProcessFailed(f"initdb: exit {done.returncode}\n{done.stdout}{done.stderr}")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _program(name: str) -> str:
    folder = binaries()
    if folder is None:
        raise ProcessFailed(missing_parts())
    return str(folder / name)


def _unprivileged() -> list[str]:
    """A command that what follows is run by: PostgreSQL refuses to run as root.

    To change the user itself, `subprocess` would have to fork, and gRPC's threads may crash that.
    """
    return [sys.executable, "-c", _AS_NOBODY] if os.getuid() == 0 else []


_AS_NOBODY = """
import os, pwd, sys
os.setgroups([])
os.setuid(pwd.getpwnam("nobody").pw_uid)
os.execv(sys.argv[1], sys.argv[1:])
"""
