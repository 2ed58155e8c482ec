"""What a command finds around it: variables, streams, terminal, clock. Read once, in main."""

import io
import logging
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO, TypeVar

PIPE_WIDTH = 1_000_000

PAUSE_SECONDS = 0.1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Terminal:
    """A stream as people see it; one that is no terminal has no colour and no width."""

    stream: TextIO
    is_terminal: bool
    width: int
    height: int
    colour: bool


@dataclass(frozen=True, slots=True)
class Environment:
    """Everything a command may know of the outside, so that tests can state it."""

    variables: Mapping[str, str]
    home: Path
    out: Terminal
    err: Terminal
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    pause: Callable[[float], None]
    new_id: Callable[[], str]

    def awaited(self, ask: Callable[[], T], done: Callable[[T], bool], seconds: float) -> T:
        """What is answered once it is done, or last when the time is over."""
        deadline = self.monotonic() + seconds
        while True:
            answer = ask()
            if done(answer) or self.monotonic() >= deadline:
                return answer
            self.pause(PAUSE_SECONDS)

    def config_file(self) -> Path:
        """Where contexts are kept: MESH_CONFIG, else the XDG folder."""
        named = self.variables.get("MESH_CONFIG")
        if named:
            return Path(named)
        base = self.variables.get("XDG_CONFIG_HOME")
        folder = Path(base) if base else self.home / ".config"
        return folder / "mesh" / "config.yaml"


def terminal(stream: TextIO, variables: Mapping[str, str], size: tuple[int, int]) -> Terminal:
    """What may be done on a stream: NO_COLOR and dumb terminals get no colour."""
    is_terminal = stream.isatty()
    colour = is_terminal and not variables.get("NO_COLOR") and variables.get("TERM") != "dumb"
    width, height = size if is_terminal else (PIPE_WIDTH, PIPE_WIDTH)
    return Terminal(stream, is_terminal, width, height, colour)


def surroundings(variables: Mapping[str, str]) -> Environment:
    """This process's own, with the variables that it was given."""
    # What our own parts log is for servers; here errors are told once, by exit code and sentence.
    logging.getLogger().addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    size = shutil.get_terminal_size()
    measured = (size.columns, size.lines)
    return Environment(
        variables=variables,
        home=Path.home(),
        out=terminal(sys.stdout, variables, measured),
        err=terminal(sys.stderr, variables, measured),
        now=lambda: datetime.now(UTC),
        monotonic=time.monotonic,
        pause=time.sleep,
        new_id=lambda: str(uuid.uuid4()),
    )
