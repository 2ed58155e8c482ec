"""docs/cli.md says what the commands do."""

import re
import shlex
from pathlib import Path

import click
import pytest

from cli.commands import MeshGroup
from cli.errors import BROKEN_PIPE_EXIT_CODE, INTERRUPTED_EXIT_CODE
from cli.main import root
from mesh import errors
from tests.unit.cli.test_help import every_command

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()


def shown() -> list[list[str]]:
    """Every command line of the page, as words, without what the shell does with it."""
    lines = re.findall(r"^\$ (.*)$", PAGE.replace("\\\n", " "), re.MULTILINE)
    lines = [line.removeprefix('eval "$(').removesuffix(')"') for line in lines]
    return [shlex.split(re.split(r" [|<>] ", line)[0])[1:] for line in lines]


@pytest.mark.parametrize("words", shown(), ids=" ".join)
def test_every_line_of_the_reference_parses(words: list[str]) -> None:
    command: click.Command = root
    ctx = click.Context(root)
    while isinstance(command, MeshGroup):
        name = words.pop(0)
        found = command.get_command(ctx, name)
        assert found is not None, name
        command = found
    parser = command.make_parser(click.Context(command))
    parsed, rest, _ = parser.parse_args(words)
    assert rest == []
    required = [p.name for p in command.params if p.required]
    assert [name for name in required if parsed.get(name or "") is None] == []


def test_every_command_is_in_the_reference() -> None:
    told = {tuple(words[: len(command)]) for words in shown() for command in every_command()}
    told |= {tuple(words[:1]) for words in shown()}
    assert set(every_command()) <= told


def test_every_exit_code_is_in_the_reference() -> None:
    codes = {kind.kind.exit_code for kind in errors.KINDS}
    codes |= {0, errors.USAGE_EXIT_CODE, errors.DIFFERENT_EXIT_CODE}
    codes |= {INTERRUPTED_EXIT_CODE, BROKEN_PIPE_EXIT_CODE}
    assert codes == {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
