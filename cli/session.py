"""What a command works with: its settings, the control plane, and a voice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, cast

import click

from cli.connection import Settings, connection, settings
from cli.contexts import Contexts, load, readable_by_others
from cli.environment import Environment
from cli.errors import failure, tell
from cli.flags import Flags, Format, Invocation
from cli.output import Detail, Listing, Record, Result, show
from cli.text import instant, plain, spoken
from mesh import errors
from mesh.times import in_words

if TYPE_CHECKING:
    from cli.client import Client

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Session:
    """One run of one command."""

    environment: Environment
    flags: Flags

    @property
    def format(self) -> Format:
        """How data is printed."""
        return self.flags.output

    def now(self) -> datetime:
        """The time, in UTC."""
        return self.environment.now()

    def contexts(self) -> Contexts:
        """The contexts kept on this machine."""
        return load(self.environment.config_file())

    def settings(self) -> Settings:
        """What is known of the connection, and from where."""
        file = self.environment.config_file()
        found = settings(self.flags, self.environment.variables, self.contexts())
        if found.token.source.startswith("context") and readable_by_others(file):
            self.say(f"warning: others can read the tokens in {file}; run `chmod 600 {file}`.")
        return found

    @contextmanager
    def client(self) -> Iterator["Client"]:
        """The control plane, while the command needs it."""
        # gRPC takes longer to load than most commands take to run; those without a server do not.
        from cli.client import Client  # noqa: PLC0415

        with Client(connection(self.settings(), self.flags.timeout)) as client:
            yield client

    def show(self, result: Result) -> None:
        """Print a result on stdout, and say so when there is nothing to print."""
        if isinstance(result, Listing) and not result.records and self.format is Format.TABLE:
            self.say(result.empty)
            return
        show(result, self.format, self.environment.out, self.now())

    def show_secret(self, secret: str, record: Record, end: datetime | None) -> None:
        """A secret alone on stdout, so that it can go to a file; its record in the other forms."""
        if self.format is not Format.TABLE:
            show(Detail(record, tuple(record)), self.format, self.environment.out, self.now())
            return
        self.write(f"{secret}\n")
        if end is not None:
            self.say(f"Expires {in_words(end, self.now())}, at {instant(end)}.")

    def write(self, text: str) -> None:
        """Data that is its own form, on stdout."""
        self.environment.out.stream.write(text)

    def write_bytes(self, content: bytes) -> None:
        """A document as it is, on stdout."""
        click.echo(content, file=self.environment.out.stream, nl=False)

    def tell(self, error: errors.MeshError) -> int:
        """An error that does not end the command, and the exit code it asks for."""
        failed = failure(error)
        tell(failed, self.environment.err, self.format is Format.JSON)
        return failed.exit_code

    def alarm(self, text: str) -> None:
        """What must be heard, on stderr, also with --quiet."""
        self.environment.err.stream.write(f"{plain(text)}\n")

    def say(self, text: str) -> None:
        """Speech, on stderr, unless --quiet."""
        if not self.flags.quiet:
            err = self.environment.err
            err.stream.write(f"{spoken(text, err.width)}\n")
            err.stream.flush()


def pass_session(
    command: Callable[Concatenate[Session, P], R],
) -> Callable[P, R]:
    """Give the command its session as first argument."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        invocation = cast(Invocation, click.get_current_context().find_root().obj)
        return command(Session(invocation.environment, invocation.flags), *args, **kwargs)

    return run
