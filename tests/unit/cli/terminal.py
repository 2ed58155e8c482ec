"""Runs `mesh` in this process, in a pipe or in a terminal of a given size."""

import io
import uuid
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from cli.environment import Environment, terminal
from cli.main import run

NOW = datetime(2026, 11, 24, 22, 0, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one command line left behind."""

    code: int
    out: str
    err: str


class Run(Protocol):
    def __call__(
        self,
        *arguments: str,
        variables: Mapping[str, str] = {},
        size: tuple[int, int] | None = None,
    ) -> Outcome: ...


class Tty(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(slots=True)
class Clock:
    """Time that passes when somebody waits."""

    seconds: float = 0.0
    pauses: list[float] = field(default_factory=list)
    during_pause: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.seconds += seconds
        self.pauses.append(seconds)
        self.during_pause()


def runner(
    home: Path,
    defaults: Mapping[str, str],
    clock: Clock,
    now: Callable[[], datetime] = lambda: NOW,
) -> Run:
    """A runner whose variables start with the defaults; without a size it is in a pipe."""

    def invoke(
        *arguments: str,
        variables: Mapping[str, str] = {},
        size: tuple[int, int] | None = None,
    ) -> Outcome:
        kind = Tty if size else io.TextIOWrapper
        out, err = (kind(io.BytesIO(), encoding="utf-8") for _ in range(2))
        known = {**defaults, **variables}
        environment = Environment(
            variables=known,
            home=home,
            out=terminal(out, known, size or (80, 24)),
            err=terminal(err, known, size or (80, 24)),
            now=now,
            monotonic=clock.monotonic,
            pause=clock.pause,
            new_id=lambda: str(uuid.uuid4()),
        )
        with redirect_stdout(out), redirect_stderr(err):
            code = run(arguments, environment)
        return Outcome(code, _text(out), _text(err))

    return invoke


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()
