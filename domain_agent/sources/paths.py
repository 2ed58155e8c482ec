"""From a contract's server and dataset to one real file below one of the agent's roots."""

from collections.abc import Sequence
from pathlib import Path

from mesh.contracts.values import Dataset, Server
from mesh.errors import SourceMissing, SourceOutsideRoots, SourceUnsupported

FORMATS = ("csv", "parquet")
# DuckDB expands these in the name of a file.
_PATTERNS = frozenset("*?[]{}")


def locate(server: Server, dataset: Dataset, roots: Sequence[Path]) -> Path:
    """The dataset's file with every link resolved; a relative path starts at the first root.

    Raises SourceUnsupported, SourceOutsideRoots or SourceMissing.
    """
    if server.format not in FORMATS:
        raise SourceUnsupported(
            f"the contract's server has format {server.format!r}; this agent reads"
            f" {' and '.join(FORMATS)}"
        )
    if "\0" in server.path or "\0" in dataset.file:
        raise SourceUnsupported(f"the path of dataset {dataset.name} holds a NUL character")
    try:
        path = (roots[0] / server.path / dataset.file).resolve()
    except (OSError, RuntimeError):
        raise _missing(dataset) from None
    if not any(path.is_relative_to(root.resolve()) for root in roots):
        raise SourceOutsideRoots(
            f"the file of dataset {dataset.name} lies outside the folders that this agent may"
            " read; move it, or have the agent's operator list its folder under `roots`"
        )
    if not path.is_file():
        raise _missing(dataset)
    if _PATTERNS & set(str(path)):
        raise SourceUnsupported(
            f"the path of dataset {dataset.name} holds one of {' '.join(sorted(_PATTERNS))};"
            " rename the file or its folder"
        )
    return path


def _missing(dataset: Dataset) -> SourceMissing:
    return SourceMissing(
        f"the file of dataset {dataset.name} ({dataset.file}) is not where the contract says;"
        " put it there, or publish a contract that says where it is"
    )
