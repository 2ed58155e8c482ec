"""How commands look: examples first, options that every command takes, suggestions for typos."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from textwrap import dedent
from typing import Any, cast

import click

from cli.flags import global_options


class MeshCommand(click.Command):
    """A command whose help opens with examples and which takes the options of every command."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self._globals = global_options()

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own parameters, then those of every command."""
        return [*super().get_params(ctx), *self._globals]

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        write_examples(self.examples, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [p for p in super().get_params(ctx) if isinstance(p, click.Option)]
        for title, params in (("Options", own), ("Options of every command", self._globals)):
            records = [r for p in params if (r := p.get_help_record(ctx)) is not None]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command that is imported when it is used: `module:attribute`, and its summary."""

    target: str
    summary: str


class MeshGroup(click.Group):
    """A noun: its verbs, some of them loaded when first needed."""

    command_class = MeshCommand

    def __init__(
        self,
        *args: Any,
        examples: str = "",
        lazy: Mapping[str, Lazy] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order of their declaration."""
        return [*self.lazy, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        lazy = self.lazy.get(cmd_name)
        if lazy is None:
            return super().get_command(ctx, cmd_name)
        module, attribute = lazy.target.split(":")
        return cast(click.Command, getattr(import_module(module), attribute))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        known = self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(_unknown(name, known, ctx), ctx)
        return super().resolve_command(ctx, args)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        write_examples(self.examples, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            lazy = self.lazy.get(name)
            command = None if lazy else self.commands[name]
            rows.append((name, lazy.summary if lazy else _summary(command)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def write_examples(examples: str, formatter: click.HelpFormatter) -> None:
    """The examples as they are typed, unwrapped."""
    if not examples:
        return
    with formatter.section("Examples"):
        for line in dedent(examples).strip().splitlines():
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def _summary(command: click.Command | None) -> str:
    return command.get_short_help_str(limit=100) if command else ""


def _unknown(name: str, known: list[str], ctx: click.Context) -> str:
    close = get_close_matches(name, known)
    if close:
        return f"No such command {name!r}. Did you mean {' or '.join(close)}?"
    return f"No such command {name!r}. {ctx.command_path} knows: {', '.join(known)}."
