"""What a worker process may use, and how many there are: one frozen value."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """The pool's settings. `sandbox` none leaves the workers without Landlock, and says so.

    A worker keeps the DuckDB instances of its last `instances` plans. `address_space_mib` bounds
    what DuckDB's own limit, `memory_mib`, does not: strings inside expressions.
    """

    roots: tuple[Path, ...]
    workers: int = 4
    instances: int = 4
    threads: int = 2
    memory_mib: int = 1024
    address_space_mib: int = 4096
    batch_bytes: int = 8 * MIB
    command_seconds: float = 10.0
    grace_seconds: float = 1.0
    start_seconds: float = 30.0
    wait_seconds: float = 5.0
    waiting: int = 64
    sandbox: Literal["landlock", "none"] = "landlock"
