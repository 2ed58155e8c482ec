"""Errors as people and scripts see them: what happened, what to do next, and an exit code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import click

from cli.environment import Terminal
from cli.text import json_text, plain, spoken
from mesh import errors

INTERRUPTED_EXIT_CODE = 130
BROKEN_PIPE_EXIT_CODE = 141
BUG_EXIT_CODE = errors.Bug.kind.exit_code

_NEXT = {
    errors.ControlUnavailable.reason: "`mesh context show` tells where the address comes from.",
    errors.TokenExpired.reason: "`mesh token show` tells whose token it is; ask for a new one.",
    errors.TokenAudience.reason: "Tokens for the control plane come from `mesh token issue`"
    " without --domain.",
    errors.DutyMissing.reason: "`mesh token show` lists your duties.",
    errors.AgreementMissing.reason: "Ask for access: `mesh access request --help`.",
    errors.PurposeUnknown.reason: "`mesh purpose list` shows the registered ones.",
    errors.ContractNotFound.reason: "`mesh product list` shows what there is.",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """How a command ended, when not well."""

    reason: str
    message: str
    exit_code: int
    kind: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    usage: str = ""


def failure(error: Exception) -> Failure:
    """What to say about an error, whatever it is."""
    match error:
        case errors.MeshError():
            kind = error.kind
            return Failure(
                error.reason_id, error.message, kind.exit_code, kind.name, error.metadata
            )
        case click.UsageError():
            usage = error.ctx.get_usage() if error.ctx else ""
            hint = f"Try `{error.ctx.command_path} --help`." if error.ctx else ""
            return Failure(
                "usage",
                error.format_message(),
                errors.USAGE_EXIT_CODE,
                "usage",
                {},
                f"{usage}\n{hint}" if usage else "",
            )
        case click.ClickException():
            return Failure("usage", error.format_message(), errors.USAGE_EXIT_CODE, "usage")
        case _:
            return Failure(
                errors.InternalError.reason,
                f"a defect of mesh itself: {type(error).__name__} {_place(error)}: {error}",
                BUG_EXIT_CODE,
                errors.Bug.kind.name,
            )


def tell(failed: Failure, terminal: Terminal, as_json: bool) -> None:
    """Say it on stderr: one JSON object, or sentences."""
    if as_json:
        document = {
            "reason": failed.reason,
            "message": failed.message,
            "metadata": dict(failed.metadata),
        }
        terminal.stream.write(json_text(document) + "\n")
        return
    if failed.usage:
        terminal.stream.write(failed.usage + "\n\n")
    first, *others = failed.message.splitlines() or [""]
    head = click.style("error:", "red", bold=True) if terminal.colour else "error:"
    terminal.stream.write(f"{head} {spoken(first, terminal.width, len('error: '))}\n")
    for line in others:
        terminal.stream.write(f"{plain(line)}\n")
    if failed.kind != "usage":
        terminal.stream.write(f"  reason: {plain(failed.reason)} ({failed.kind})\n")
    receipt = failed.metadata.get("receipt")
    if receipt:
        terminal.stream.write(f"  why: mesh why {plain(receipt)}\n")
    if failed.reason in _NEXT and "`mesh " not in failed.message:
        terminal.stream.write(f"  {spoken(_NEXT[failed.reason], terminal.width, 2)}\n")


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether the command line asks for JSON, also when it could not be parsed."""
    before = list(arguments)
    if "--" in before:
        before = before[: before.index("--")]
    chosen = "table"
    for index, word in enumerate(before):
        follower = before[index + 1] if index + 1 < len(before) else ""
        if word in ("-o", "--output"):
            chosen = follower
        elif word.startswith("--output="):
            chosen = word.removeprefix("--output=")
        elif word.startswith("-o") and not word.startswith("--"):
            chosen = word.removeprefix("-o").removeprefix("=")
    return chosen == "json"


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    code = trace.tb_frame.f_code
    return f"in {code.co_qualname}, line {trace.tb_lineno}"
