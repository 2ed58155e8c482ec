"""A layer's modules in a folder, and the commit they are at."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from mesh import errors
from mesh.decisions.folders import read_folder
from mesh.names import NAME_RULE, is_name

_GIT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Commit:
    """What a folder is at; empty where it is in no repository."""

    id: str = ""
    dirty: bool = False


class LayerType(click.ParamType[str]):
    """`organisation`, or a domain's layer as `domain/<domain>`."""

    name = "layer"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        layer = str(value)
        kind, _, domain = layer.partition("/")
        if layer != "organisation" and not (kind == "domain" and is_name(domain)):
            self.fail(f"{layer!r} is no layer: organisation or domain/NAME; names: {NAME_RULE}.")
        return layer


LAYER = LayerType()


def read_layer(folder: Path) -> dict[str, str]:
    """The modules below a folder, by path in it. Raises PolicyInvalid for what is not read."""
    modules: dict[str, str] = {}
    for path, content in read_folder(folder).items():
        try:
            modules[path] = content.decode()
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise errors.PolicyInvalid(f"{folder / path}:{line}: it is not UTF-8") from error
    if not modules:
        raise errors.PolicyInvalid(f"{folder} has no .rego modules", folder=str(folder))
    return modules


def commit_of(folder: Path, variables: Mapping[str, str]) -> Commit:
    """The commit of the repository that a folder is in, and whether the folder differs from it."""
    head = _git(folder, variables, "rev-parse", "HEAD")
    if head is None:
        return Commit()
    status = _git(folder, variables, "status", "--porcelain", "--", ".")
    return Commit(head.strip(), status is None or bool(status.strip()))


def _git(folder: Path, variables: Mapping[str, str], *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - arguments are ours
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - the user's own git
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            env=dict(variables),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
