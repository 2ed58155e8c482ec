"""Contexts: named control planes with their tokens, in one file that only its owner can read."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import yaml

from mesh import errors

OWNER_ONLY = 0o600


class ConfigInvalid(errors.Invalid):
    """The file of contexts is not what `mesh context set` writes."""

    reason = "config.invalid"


class ContextNotFound(errors.NotFound):
    """No context of this name."""

    reason = "context.not_found"


@dataclass(frozen=True, slots=True)
class Context:
    """One control plane and how to reach it."""

    server: str | None = None
    token: str | None = None
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class Contexts:
    """All contexts and which one is used when none is named."""

    current: str | None = None
    contexts: Mapping[str, Context] = field(default_factory=dict)

    def named(self, name: str) -> Context:
        """The context of that name. Raises ContextNotFound that lists the known ones."""
        if name not in self.contexts:
            known = ", ".join(sorted(self.contexts)) or "none yet"
            raise ContextNotFound(
                f"there is no context {name!r}; known: {known}."
                f" Make it with `mesh context set {name} --server HOST:PORT`",
                context=name,
            )
        return self.contexts[name]

    def using(self, name: str) -> "Contexts":
        """The same contexts, with this one current."""
        self.named(name)
        return replace(self, current=name)

    def having(self, name: str, context: Context) -> "Contexts":
        """With this context added or replaced; the first one becomes current."""
        return Contexts(self.current or name, {**self.contexts, name: context})


def load(path: Path) -> Contexts:
    """The contexts in a file; none when there is no file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Contexts()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{path} can't be read: {error}", file=str(path)) from error
    try:
        return _parse(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigInvalid(
            f"{path} is no file of contexts: {error}. Repair it, or remove it and run"
            " `mesh context set NAME --server HOST:PORT`",
            file=str(path),
        ) from error


def save(path: Path, contexts: Contexts) -> None:
    """Write the file whole, readable by its owner alone, even when it was wider before."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    document = {
        "current": contexts.current,
        "contexts": {
            name: {key: value for key, value in _fields(context) if value is not None}
            for name, context in sorted(contexts.contexts.items())
        },
    }
    text = yaml.safe_dump(document, sort_keys=False)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, OWNER_ONLY)
        file.write(text)
    beside.replace(path)


def readable_by_others(path: Path) -> bool:
    """Whether somebody else on this machine can read the tokens in the file."""
    return path.exists() and path.stat().st_mode & 0o077 != 0


def _fields(context: Context) -> list[tuple[str, str | None]]:
    return [
        ("server", context.server),
        ("token", context.token),
        ("ca_file", context.ca_file),
    ]


def _parse(document: object) -> Contexts:
    if document is None:
        return Contexts()
    if not isinstance(document, dict) or set(document) - {"current", "contexts"}:
        raise ValueError("it has the keys `current` and `contexts`")
    entries = document.get("contexts") or {}
    if not isinstance(entries, dict):
        raise ValueError("`contexts` maps names to server, token and ca_file")
    contexts = {str(name): _context(str(name), entry) for name, entry in entries.items()}
    current = document.get("current")
    if current is not None and not isinstance(current, str):
        raise ValueError("`current` is the name of a context")
    return Contexts(current, contexts)


def _context(name: str, entry: object) -> Context:
    allowed = {"server", "token", "ca_file"}
    if (
        not isinstance(entry, dict)
        or set(entry) - allowed
        or not all(isinstance(value, str) for value in entry.values())
    ):
        raise ValueError(f"context {name!r} has the text fields server, token and ca_file")
    return Context(**cast("dict[str, str]", entry))
