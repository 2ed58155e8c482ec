"""Help, completion, and that every command has both."""

import subprocess
import sys

import click
import pytest

from cli.commands import MeshCommand, MeshGroup
from cli.main import COMMANDS, root
from tests.unit.cli.terminal import Run

EXPECTED = {
    "contract": {"lint", "diff"},
    "product": {"publish", "list", "show"},
    "access": {"request", "list", "show", "approve", "reject", "revoke", "cancel"},
    "policy": {
        "init",
        "check",
        "test",
        "show",
        "push",
        "list",
        "diff",
        "rehearse",
        "what-if",
        "activate",
        "rollback",
        "log",
        "status",
    },
    "audit": {"list", "tail", "stats", "reads", "status", "verify", "export", "prove"},
    "agent": {"list", "show", "join-token"},
    "opa": {"list", "key"},
    "erasure": {"request", "list"},
    "purpose": {"add", "list"},
    "token": {"issue", "show"},
    "context": {"list", "use", "set", "show"},
    "query": set(),
    "why": set(),
    "status": set(),
    "version": set(),
    "completion": set(),
}


def every_command() -> list[tuple[str, ...]]:
    ctx = click.Context(root)
    found: list[tuple[str, ...]] = []
    for name in root.list_commands(ctx):
        command = root.get_command(ctx, name)
        verbs = command.list_commands(ctx) if isinstance(command, MeshGroup) else []
        found += [(name,), *((name, verb) for verb in verbs)]
    return found


def test_the_commands_are_those_that_were_promised() -> None:
    found: dict[str, set[str]] = {}
    for name, *verb in every_command():
        found.setdefault(name, set()).update(verb)
    assert found == EXPECTED


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_help_opens_with_examples(command: tuple[str, ...], bare: Run) -> None:
    done = bare(*command, "--help")
    assert done.code == 0
    assert done.err == ""
    assert "Examples:" in done.out
    assert f"mesh {' '.join(command)}" in done.out.partition("Examples:")[2]
    options = done.out.index("Options:") if "Options:" in done.out else len(done.out)
    assert done.out.index("Examples:") < options


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_examples_parse(command: tuple[str, ...], bare: Run) -> None:
    """Every option that an example names exists."""
    ctx = click.Context(root)
    found = root.get_command(ctx, command[0])
    if len(command) == 2:
        assert isinstance(found, MeshGroup)
        found = found.get_command(ctx, command[1])
    if not isinstance(found, MeshCommand):
        return
    known = {name for param in found.get_params(click.Context(found)) for name in param.opts}
    typed = found.examples.replace("\\\n", " ").replace("|", "\n").splitlines()
    lines = [line for line in typed if line.strip().startswith(f"mesh {' '.join(command)}")]
    words = [word for line in lines for word in line.split()]
    named = {word.split("=")[0] for word in words if word.startswith("--")}
    assert lines
    assert named <= known


def test_summaries_say_what_the_commands_say() -> None:
    ctx = click.Context(root)
    for name, lazy in COMMANDS.items():
        command = root.get_command(ctx, name)
        assert command is not None
        assert lazy.summary.endswith(".")


def test_without_a_command_help_is_shown_and_the_exit_code_is_that_of_usage(bare: Run) -> None:
    done = bare()
    assert done.code == 2
    assert "Commands:" in done.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_of_the_shell(shell: str, bare: Run) -> None:
    done = bare("completion", shell)
    assert done.code == 0
    assert "_MESH_COMPLETE" in done.out


def test_help_loads_neither_grpc_nor_arrow() -> None:
    script = (
        "import sys; from cli.main import root; import click;"
        "root.get_help(click.Context(root, info_name='mesh'));"
        "print([m for m in ('grpc', 'pyarrow', 'regopy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
