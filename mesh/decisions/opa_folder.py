"""A temporary folder in which OPA looks at a layer, and what it says, in the layer's own places."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mesh.decisions.builtins import ALLOWED
from mesh.decisions.modules import Problem, without_comments
from mesh.decisions.opa_program import Opa, Said
from mesh.decisions.shipped import input_schema
from mesh.errors import PolicyError

LAYER = "layer"
LIBRARY = "library"
CAPABILITIES = "capabilities.json"
SCHEMA = "input.json"
_PLACE = re.compile(rf"{LAYER}/([a-z0-9_/]+\.rego):(\d+): (?:rego_\w+: )?(.*)")


@dataclass(frozen=True, slots=True)
class OpaFolder:
    """Modules below `layer/` and `library/`; nothing else is there for OPA to find."""

    opa: Opa
    path: Path

    def put(self, folder: str, texts: Mapping[str, str]) -> None:
        """Write modules below one of the folders."""
        for path, text in texts.items():
            file = self.path / folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())

    def run(self, *arguments: str) -> Said:
        """Run OPA here."""
        return self.opa.run(self.path, *arguments)

    def capabilities(self, texts: Mapping[str, str]) -> None:
        """Write down what modules may call: what layers may, operators, and what `texts` call."""
        told = self.run("capabilities", "--current").document()
        if not isinstance(told, dict):
            raise PolicyError("opa does not tell its capabilities")
        called = set(re.findall(r"[a-z_0-9.]+(?=\()", "\n".join(texts.values())))
        builtins = [
            one for one in told["builtins"] if one["name"] in ALLOWED | called or "infix" in one
        ]
        kept = {"builtins": builtins, "features": ["rego_v1"], "allow_net": []}
        (self.path / CAPABILITIES).write_text(json.dumps(kept))

    def schema(self) -> None:
        """Write down the input's schema."""
        (self.path / SCHEMA).write_text(input_schema())


@contextmanager
def opa_folder(opa: Opa) -> Iterator[OpaFolder]:
    """A folder for one look; it is gone afterwards."""
    with TemporaryDirectory(prefix="mesh-policy-") as name:
        yield OpaFolder(opa, Path(name).resolve())


def bare(texts: Mapping[str, str]) -> dict[str, str]:
    """The modules without comments.

    In those a module can say, in METADATA, that its input has another schema than ours, and have
    OPA read that schema from the network or from any file.
    """
    return {path: without_comments(text) for path, text in texts.items()}


def problems_in(said: Said) -> list[Problem]:
    """What OPA says is wrong with the layer. Raises PolicyError when it says nothing of use."""
    match said.document():
        case {"errors": [*errors]}:
            found = [_problem(error) for error in errors]
        case _:
            found = [Problem(p, int(n), what) for p, n, what in _PLACE.findall(said.err)]
    if not found:
        raise PolicyError(said.last_line())
    return sorted(set(found))


def _problem(error: object) -> Problem:
    match error:
        case {"message": str(message), "location": {"file": str(file), "row": int(row)}}:
            return Problem(file.removeprefix(f"{LAYER}/"), row, message)
        case {"message": str(message)}:
            return Problem("", 0, message)
    raise PolicyError("opa says something that is no problem")
