"""What results depend on: the machine, the versions, the revision."""

import os
import platform
import subprocess
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from mesh.times import rfc3339
from tests.differential.opa_server import opa_binary

_PACKAGES = ("duckdb", "pyarrow", "grpcio", "adbc-driver-flightsql", "regopy", "rfc8785")


def facts(root: Path, now: datetime, rounds: int) -> list[tuple[str, str]]:
    """Names and values, as they are printed."""
    revision = _output("git", "-C", str(root), "describe", "--always", "--dirty")
    opa = _output(opa_binary(), "version").splitlines()[0].removeprefix("Version: ")
    packages = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    return [
        ("date", rfc3339(now)),
        ("revision", revision),
        ("machine", f"{os.cpu_count()} × {_processor()}, {_memory():.0f} GiB"),
        ("system", f"{platform.system()} {platform.release()}, Python {platform.python_version()}"),
        ("versions", f"{packages}, OPA {opa}"),
        ("load before the run", f"{os.getloadavg()[0]:.2f} (1 minute)"),
        ("rounds", str(rounds)),
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
