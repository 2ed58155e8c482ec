"""An agent's evidence and its shipping, as a process: `FOLDER BROKER TOPIC`, told by its input.

`fill N` appends N events, `state` says how it is; each is answered with one line of JSON.
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from domain_agent.control.kafka import KafkaTransport
from domain_agent.control.shipping import Shipper
from examples.airline.processes import ROOT
from mesh.kafka.settings import KafkaSettings
from tests.faults.making import AGENT, DOMAIN, Making

_THREADS = 16


@dataclass(frozen=True, slots=True)
class State:
    """How far the process is: its log's head, what Kafka acknowledged of it, its memory in KiB."""

    size: int
    root: str
    acknowledged: int
    memory: int


class Accumulator:
    """The process, from outside."""

    def __init__(self, folder: Path, broker: str, topic: str) -> None:
        self._log = (folder / "accumulating.log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.accumulating", str(folder), broker, topic],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def fill(self, events: int) -> State:
        """Append that many events."""
        return self._told(f"fill {events}")

    @property
    def state(self) -> State:
        """How far it is."""
        return self._told("state")

    def _told(self, line: str) -> State:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return State(**json.loads(self._process.stdout.readline()))


def main(folder: Path, broker: str, topic: str) -> None:
    """Do what is asked until the input ends."""
    making = Making(folder)
    settings = KafkaSettings(brokers=(broker,))
    transport = KafkaTransport(settings, topic, f"{DOMAIN}/{AGENT}", time.monotonic)
    shipper = Shipper(making.spool, transport)
    shipper.start()
    for line in sys.stdin:
        word, _, number = line.strip().partition(" ")
        if word == "fill":
            making.fill(int(number), _THREADS)
        spool = making.spool
        state = {
            "size": spool.head.size,
            "root": spool.head.root.hex(),
            "acknowledged": spool.acknowledged,
            "memory": _memory(),
        }
        print(json.dumps(state), flush=True)
    shipper.stop()


def _memory() -> int:
    """Resident memory, without what is only the page cache's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
