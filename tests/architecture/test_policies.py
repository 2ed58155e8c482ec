"""The Rego library's own rules: what OPA's checks do not say."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mesh.errors import KINDS
from tests.differential.opa_server import opa_binary
from tests.unit.decisions.examples import POLICIES, library

SENTENCE = re.compile(r"[A-Z].*\.")
OWN_RULES = {
    "library.classification",
    "library.contract",
    "library.undeclared",
    "library.role",
}


def opa(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [opa_binary(), *arguments], capture_output=True, text=True, check=False, cwd=POLICIES.parent
    )


def annotations() -> list[dict[str, Any]]:
    inspected = opa("inspect", "-a", "-f", "json", "policies/library")
    assert inspected.returncode == 0, inspected.stderr
    found: list[dict[str, Any]] = json.loads(inspected.stdout)["annotations"]
    return found


def sentences() -> dict[str, str]:
    """The sentence of every documented id, by id."""
    return {
        entry["annotations"]["title"]: entry["annotations"]["description"]
        for entry in annotations()
        if "." in entry["annotations"].get("title", "")
    }


def reasons_of_the_library() -> set[str]:
    return set(re.findall(r'^require\["([a-z_.]+)"\]', library()["library/access.rego"], re.M))


def test_every_reason_and_rule_has_one_sentence() -> None:
    documented = sentences()

    assert set(documented) == reasons_of_the_library() | OWN_RULES
    assert [id_ for id_, text in documented.items() if not SENTENCE.fullmatch(text)] == []


def test_every_reason_is_declared_and_only_those() -> None:
    listed = re.search(r"^declared := \{(.*?)\}", library()["library/access.rego"], re.M | re.S)
    assert listed is not None

    assert set(re.findall(r'"([a-z_.]+)"', listed.group(1))) == reasons_of_the_library()


def test_every_reason_is_an_error_that_the_mesh_knows() -> None:
    known = {error.reason for kind in KINDS for error in kind.__subclasses__()}

    assert reasons_of_the_library() <= known


def test_every_package_says_what_it_is_for() -> None:
    described = {
        Path(entry["location"]["file"]).name
        for entry in annotations()
        if entry["annotations"]["scope"] == "package" and entry["annotations"].get("description")
    }

    assert described == {Path(path).name for path in library(tests=True)}


def test_there_is_one_entrypoint() -> None:
    entrypoints = [
        "/".join(str(part["value"]) for part in entry["path"])
        for entry in annotations()
        if entry["annotations"].get("entrypoint")
    ]

    assert entrypoints == ["data/mesh/access/decision"]


def test_every_module_has_its_tests_beside_it() -> None:
    modules = {path.removesuffix(".rego") for path in library()}
    tested = {path.removesuffix("_test.rego") for path in set(library(tests=True)) - set(library())}

    assert modules == tested


@pytest.mark.parametrize("path", sorted(library()))
def test_modules_keep_to_what_both_engines_do_alike(path: str) -> None:
    text = library()[path]

    assert re.findall(r"\bnot\b(?! [a-z_]+$)", re.sub(r"#.*", "", text), re.M) == []
    assert re.findall(r"\bwith\b(?=.*\bas\b)", re.sub(r"#.*", "", text)) == []
    clocks = [] if path == "library/clock.rego" else ["time"]
    outside = "|".join(["http", "rand", "opa", "net", "uuid", *clocks])
    assert re.findall(rf"\b(?:{outside})\.\w+\(", text) == []
    assert text.count("\n") <= 160


def test_tests_state_the_input_key_by_key() -> None:
    for path in set(library(tests=True)) - set(library()):
        assert re.findall(r"with (?!input\.[a-z]+ as )", library(tests=True)[path]) == [], path


@pytest.mark.parametrize(
    "field", ["input.subject.clearence", "input.agreement.consmer", "input.dataset.classes[0].tag"]
)
def test_a_typo_in_an_input_field_fails_the_check(tmp_path: Path, field: str) -> None:
    def check(reference: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "typo.rego").write_text(
            "# METADATA\n# schemas:\n#   - input: schema.input\npackage mesh.typo\n\n"
            f"allow if {reference} == data.mesh.typo.x\n"
        )
        return opa("check", "--strict", "--schema", "policies/schemas", str(tmp_path))

    refused = check(field)

    assert refused.returncode != 0
    assert "undefined ref" in refused.stderr
    assert check("input.agreement.consumer").returncode == 0


def test_the_input_schema_is_closed_everywhere() -> None:
    schema = json.loads((POLICIES / "schemas" / "input.json").read_text())

    def objects(node: Any) -> list[dict[str, Any]]:
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
        own = [node] if isinstance(node, dict) and "properties" in node else []
        return own + [found for part in inner for found in objects(part)]

    found = objects(schema)
    assert len(found) == 7
    assert [o for o in found if o.get("additionalProperties") is not False] == []
    assert [o for o in found if sorted(o["required"]) != sorted(o["properties"])] == []
