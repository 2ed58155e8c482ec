"""Files that a command line names: `-` is standard input."""

import sys
from dataclasses import dataclass
from pathlib import Path

import click

# One byte more than the mesh accepts, so that a larger file is refused without reading it whole.
READ_LIMIT = 512 * 1024 + 1


@dataclass(frozen=True, slots=True)
class Document:
    """A file's name, as people gave it, and its bytes."""

    name: str
    content: bytes


def read_document(name: str) -> Document:
    """The file, or as much of it as shows that it is too large."""
    if name == "-":
        return Document("<stdin>", sys.stdin.buffer.read(READ_LIMIT))
    try:
        with Path(name).open("rb") as file:
            return Document(name, file.read(READ_LIMIT))
    except OSError as error:
        raise click.UsageError(f"{name} can't be read: {error.strerror}.") from error
