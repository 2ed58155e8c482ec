"""The options that every command takes, before or after its name."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import cast

import click

from cli.environment import Environment

DEFAULT_TIMEOUT = 30.0


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line said about output and connection."""

    output: Format = Format.TABLE
    context: str | None = None
    server: str | None = None
    token: str | None = None
    ca_file: str | None = None
    timeout: float = DEFAULT_TIMEOUT
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Invocation:
    """One run of `mesh`: its surroundings and the flags seen so far."""

    environment: Environment
    flags: Flags = Flags()


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Record the flag where every command finds it; the later of two wins."""
    source = ctx.get_parameter_source(param.name or "")
    if value is None or source is click.core.ParameterSource.DEFAULT or ctx.resilient_parsing:
        return
    root = ctx.find_root()
    invocation = cast(Invocation, root.obj)
    change = cast("Callable[..., Flags]", replace)
    if param.name == "output":
        value = Format(str(value))
    root.obj = replace(invocation, flags=change(invocation.flags, **{param.name or "": value}))


def global_options() -> list[click.Option]:
    """Fresh options for one command."""
    return [
        click.Option(
            ["-o", "--output"],
            type=click.Choice([str(format_) for format_ in Format]),
            metavar="FORMAT",
            help="table, json, yaml or csv.  [default: table]",
            callback=_keep,
            expose_value=False,
        ),
        click.Option(
            ["--context"],
            metavar="NAME",
            help="Use this context.  [env: MESH_CONTEXT]",
            callback=_keep,
            expose_value=False,
        ),
        click.Option(
            ["--server"],
            metavar="ADDRESS",
            help="Control plane.  [env: MESH_SERVER]",
            callback=_keep,
            expose_value=False,
        ),
        click.Option(
            ["--token"],
            metavar="TOKEN",
            help="Who you are; the variable is not seen by others.  [env: MESH_TOKEN]",
            callback=_keep,
            expose_value=False,
        ),
        click.Option(
            ["--ca-file"],
            metavar="FILE",
            help="Trust these certificates.  [env: MESH_CA_FILE]",
            callback=_keep,
            expose_value=False,
        ),
        click.Option(
            ["--timeout"],
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help=f"Longest wait for one answer.  [default: {DEFAULT_TIMEOUT:.0f}]",
            show_default=False,
            callback=_keep,
            expose_value=False,
        ),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            default=False,
            help="Say nothing but errors on stderr.",
            callback=_keep,
            expose_value=False,
        ),
    ]
