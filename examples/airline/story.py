"""How the demo speaks: short narration, the commands as a person would type them, and checks."""

import shlex
import sys
import time
from dataclasses import dataclass, field


class Surprise(Exception):
    """Something in the story did not happen as told."""


@dataclass(slots=True)
class Story:
    """Prints to stdout; `check` ends the story at the first surprise."""

    began: float = field(default_factory=time.monotonic)
    checks: int = 0
    _chapter: int = 0

    def chapter(self, title: str) -> None:
        """Begin a part of the story."""
        self._chapter += 1
        self._say(f"\n{self._bold(f'{self._chapter}. {title}')}")

    def tell(self, text: str) -> None:
        """One line of narration."""
        self._say(f"   {text}")

    def command(self, who: str, *arguments: str) -> None:
        """The command that somebody types."""
        self._say(self._dim(f"   {who} $ mesh {shlex.join(arguments)}"))

    def output(self, text: str, most: int = 24) -> None:
        """What a command printed, indented; the middle is left out when it is long."""
        lines = text.rstrip().splitlines()
        for line in lines[:most]:
            self._say(f"     {line}")
        if len(lines) > most:
            self._say(self._dim(f"     … {len(lines) - most} more lines"))

    def check(self, holds: bool, what: str) -> None:
        """Go on if it holds. Raises Surprise."""
        if not holds:
            raise Surprise(what)
        self.checks += 1
        self._say(f"   {self._green('✓')} {what}")

    def end(self) -> None:
        """The last line."""
        seconds = time.monotonic() - self.began
        self._say(f"\n{self._bold(f'{self.checks} checks passed in {seconds:.0f} s.')}")

    def _say(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def _bold(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text

    def _dim(self, text: str) -> str:
        return f"\033[2m{text}\033[0m" if sys.stdout.isatty() else text

    def _green(self, text: str) -> str:
        return f"\033[32m{text}\033[0m" if sys.stdout.isatty() else text
