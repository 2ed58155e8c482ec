"""What OPA says of a layer: its form, strict compiling, and how much of it the tests reach."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mesh.decisions.modules import TEST_SUFFIX, Problem
from mesh.decisions.opa_folder import (
    CAPABILITIES,
    LAYER,
    LIBRARY,
    SCHEMA,
    bare,
    opa_folder,
    problems_in,
)
from mesh.decisions.opa_program import Opa
from mesh.decisions.opa_tests import outcomes
from mesh.decisions.policy import Policy
from mesh.errors import PolicyError

_FUNCTION = re.compile(r"^([a-z_]+)\(([a-z_, ]+)\) :=", re.MULTILINE)
_CLOCK = "library/clock.rego"


@dataclass(frozen=True, slots=True)
class Coverage:
    """The share of a layer's lines that its tests reach, in percent, and the lines they don't."""

    percent: float
    problems: list[Problem]


def format_problems(opa: Opa, texts: Mapping[str, str]) -> list[Problem]:
    """The first line of each module that `opa fmt` writes in another way."""
    with opa_folder(opa) as folder:
        folder.put(LAYER, texts)
        said = folder.run("fmt", "--write", LAYER)
        if not said.good:
            return problems_in(said)
        written = {path: (folder.path / LAYER / path).read_bytes().decode() for path in texts}
    return [
        _difference(path, text, written[path])
        for path, text in texts.items()
        if written[path] != text
    ]


def strict_problems(opa: Opa, texts: Mapping[str, str], library: Policy) -> list[Problem]:
    """What `opa check` finds, with the input's schema and what layers may call."""
    with opa_folder(opa) as folder:
        folder.put(LAYER, bare(texts))
        folder.put(LIBRARY, {"clock.rego": _signatures(library.modules.get(_CLOCK, ""))})
        folder.capabilities({})
        folder.schema()
        found: set[Problem] = set()
        # What only strict compiling refuses hides what comes after it, such as a misspelt field.
        for strict in (["--strict"], []):
            said = folder.run(
                *("check", *strict, "--schema", SCHEMA, "--capabilities", CAPABILITIES),
                *("--max-errors", "1000", "--format", "json", LAYER, LIBRARY),
            )
            found |= set() if said.good else set(problems_in(said))
    return sorted(found) or _metadata_problems(opa, texts)


def coverage(opa: Opa, texts: Mapping[str, str], library: Policy) -> Coverage:
    """What the layer's tests reach of its own modules. Raises PolicyError when OPA can't tell."""
    with opa_folder(opa) as folder:
        folder.put(LAYER, bare(texts))
        folder.put(".", bare(library.modules))
        folder.capabilities(library.modules)
        arguments = ("--capabilities", CAPABILITIES, "--format", "json", LAYER, LIBRARY)
        said = folder.run("test", "--coverage", *arguments)
        document = said.document()
    match document:
        case {"files": dict(files)}:
            return _covered({path: files.get(f"{LAYER}/{path}") for path in texts})
    failed = [one for one in outcomes(opa, texts, library) if not one.passed]
    if not failed:
        raise PolicyError(said.last_line())
    return Coverage(0.0, [Problem(t.path, t.line, f"{t.name} fails on OPA") for t in failed])


def _metadata_problems(opa: Opa, texts: Mapping[str, str]) -> list[Problem]:
    """METADATA that OPA can't read; it follows nothing that is written there."""
    with opa_folder(opa) as folder:
        folder.put(LAYER, texts)
        said = folder.run("inspect", "--annotations", "--format", "json", LAYER)
        return [] if said.good else problems_in(said)


def _signatures(clock: str) -> str:
    """The library's functions for layers, without the built-ins that only the library may call."""
    rules = []
    for name, parameters in _FUNCTION.findall(clock):
        texts = "; ".join(f"is_string({one.strip()})" for one in parameters.split(","))
        rules.append(f'{name}({parameters}) := "" if {{ {texts} }}\n')
    return "package mesh.clock\n\n" + "\n".join(rules)


def _covered(files: Mapping[str, object]) -> Coverage:
    reached, missed, problems = 0, 0, []
    for path, told in files.items():
        if path.endswith(TEST_SUFFIX) or not isinstance(told, dict):
            continue
        rows = _rows(told.get("not_covered", ())) - _rows(told.get("covered", ()))
        reached += int(told.get("covered_lines", 0))
        missed += int(told.get("not_covered_lines", 0))
        for first, last in _stretches(sorted(rows)):
            lines = f"line {first}" if first == last else f"lines {first} to {last}"
            problems.append(Problem(path, first, f"no test reaches {lines}"))
    percent = 100 * reached / (reached + missed) if reached + missed else 100.0
    return Coverage(percent, problems)


def _rows(ranges: object) -> set[int]:
    rows: set[int] = set()
    for one in ranges if isinstance(ranges, list) else []:
        rows.update(range(int(one["start"]["row"]), int(one["end"]["row"]) + 1))
    return rows


def _stretches(rows: list[int]) -> list[tuple[int, int]]:
    """Rows that follow each other, as first and last."""
    found: list[tuple[int, int]] = []
    for row in rows:
        if found and row == found[-1][1] + 1:
            found[-1] = (found[-1][0], row)
        else:
            found.append((row, row))
    return found


def _difference(path: str, text: str, written: str) -> Problem:
    """The first line that is written differently, and how."""
    own, other = text.split("\n"), written.split("\n")
    differing = (n for n, (a, b) in enumerate(zip(own, other, strict=False)) if a != b)
    index = next(differing, min(len(own), len(other)))
    shown = other[index].strip()[:60] if index < len(other) else ""
    there = f"`{shown}`" if shown else "nothing"
    return Problem(path, index + 1, f"`opa fmt --write` puts {there} here")
