"""The OPA program: where it is, and runs of it that can neither hang nor fill the machine."""

import json
import resource
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from mesh.errors import PolicyError

LOCAL = Path(".cache/bin/opa")
CPU_SECONDS = 20
WALL_SECONDS = 60
_MEMORY = 6 * 1024**3
_MAX_SAID = 8 * 1024**2


@dataclass(frozen=True, slots=True)
class Said:
    """How one run ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def good(self) -> bool:
        """It found nothing wrong."""
        return self.code == 0

    def document(self) -> object:
        """The JSON it wrote, wherever; None when there is none."""
        for text in (self.out, self.err):
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                continue
        return None

    def last_line(self) -> str:
        """What it said in the end."""
        said = (self.err.strip() or self.out.strip()).splitlines()
        return f"opa: {said[-1]}" if said else f"opa ended with {self.code} and said nothing"


@dataclass(frozen=True, slots=True)
class Opa:
    """One program."""

    program: Path
    cpu_seconds: int = CPU_SECONDS
    wall_seconds: float = WALL_SECONDS

    def run(self, folder: Path, *arguments: str) -> Said:
        """Run in a folder, with an empty environment. Raises PolicyError when it takes too long."""
        with TemporaryFile() as out, TemporaryFile() as err:
            try:
                process = subprocess.Popen(  # noqa: S603 - the program is OPA, the arguments are ours
                    [str(self.program.absolute()), *arguments],
                    cwd=folder,
                    env={},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                )
            except OSError as error:
                raise PolicyError(f"{self.program} can't be run: {error.strerror}") from None
            try:
                self._limit(process.pid)
                code = process.wait(self.wall_seconds)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                process.kill()
                process.wait()
            if code is None or code < 0:
                raise PolicyError(
                    f"opa {arguments[0]} was ended after {self.cpu_seconds} s of CPU time, or as"
                    " it took too much time or memory: the modules nest or repeat too much"
                )
            return Said(code, _text(out), _text(err))

    def _limit(self, pid: int) -> None:
        """Limits count from the start of the process, however late they are set."""
        for what, most in (
            (resource.RLIMIT_CPU, self.cpu_seconds),
            (resource.RLIMIT_AS, _MEMORY),
            (resource.RLIMIT_FSIZE, 2 * _MAX_SAID),
            (resource.RLIMIT_CORE, 0),
        ):
            resource.prlimit(pid, what, (most, most))


def find_opa(variables: Mapping[str, str]) -> Opa | None:
    """OPA on the PATH, else in .cache/bin of the folder we are in, else none."""
    found = shutil.which("opa", path=variables.get("PATH", ""))
    if found is not None:
        return Opa(Path(found))
    local = LOCAL.absolute()
    return Opa(local) if local.is_file() else None


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read(_MAX_SAID).decode(errors="replace")
