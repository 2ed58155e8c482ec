import json
import os
from pathlib import Path

import pytest

from mesh import errors
from tests.unit.cli import evidence
from tests.unit.cli.services import ControlPlane
from tests.unit.cli.terminal import Run

ROOT = evidence.POLICIES.parent
WITH_OPA = {"PATH": str(ROOT / ".cache" / "bin") + os.pathsep + os.environ["PATH"]}

MODULE = """package mesh.organisation

require["organisation.residency"] if input.product.residency == "eu"
"""
TESTS = """package mesh.organisation_test

import data.mesh.organisation

test_eu_is_met if organisation.require with input as {"product": {"residency": "eu"}}

test_other_is_met if organisation.require["organisation.residency"] with input as {"product": {}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one module and its tests, one of which fails; no OPA nearby."""
    monkeypatch.chdir(tmp_path)
    modules = tmp_path / "policies" / "organisation"
    modules.mkdir(parents=True)
    (modules / "residency.rego").write_text(MODULE)
    (modules / "residency_test.rego").write_text(TESTS)
    return tmp_path / "policies"


def test_good_modules_have_no_problems(folder: Path, bare: Run) -> None:
    done = bare("policy", "check", str(folder), variables=WITH_OPA)
    assert done.code == 0
    assert "No problems." in done.err


def test_a_problem_is_told_at_its_place(folder: Path, bare: Run) -> None:
    file = folder / "organisation" / "residency.rego"
    file.write_text(MODULE.replace('"eu"', "eu"))
    done = bare("policy", "check", str(folder), variables=WITH_OPA)
    assert done.code == errors.Invalid.kind.exit_code
    assert f"{file}:3:" in done.out
    assert "var eu is unsafe" in done.out


def test_failing_tests_are_named(folder: Path, bare: Run) -> None:
    done = bare("policy", "test", str(folder), variables=WITH_OPA)
    assert done.code == errors.Invalid.kind.exit_code
    assert "test_other_is_met" in done.out
    assert "test_eu_is_met" not in done.out
    assert "1 of 2 passed" in done.err
    told = json.loads(bare("policy", "test", str(folder), "-o", "json", variables=WITH_OPA).out)
    assert {test["test"]: test["result"] for test in told} == {
        "mesh.organisation_test.test_eu_is_met": "passed",
        "mesh.organisation_test.test_other_is_met": "failed",
    }


def test_no_tests_are_no_success(folder: Path, bare: Run) -> None:
    (folder / "organisation" / "residency_test.rego").unlink()
    done = bare("policy", "test", str(folder), variables=WITH_OPA)
    assert done.code == errors.Invalid.kind.exit_code
    assert "No tests" in done.err


def test_without_opa_tests_run_on_the_embedded_engine_and_it_says_so(
    folder: Path, bare: Run
) -> None:
    done = bare("policy", "test", str(folder))
    assert done.code == errors.Invalid.kind.exit_code
    assert "No OPA found" in done.err
    assert "test_other_is_met" in done.out
    assert "1 of 2 passed" in done.err


def test_without_opa_a_module_that_does_not_compile_is_found(
    bare: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path, text in evidence.POLICY.modules.items():
        (tmp_path / Path(path).name).write_text(text)
    assert bare("policy", "check", str(tmp_path)).code == 0
    (tmp_path / "broken.rego").write_text("package broken\n\nallow if {")
    done = bare("policy", "check", str(tmp_path))
    assert done.code == errors.Invalid.kind.exit_code
    assert "No OPA found" in done.err


def test_opa_is_found_in_the_projects_cache(
    bare: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    done = bare("policy", "check", str(folder))
    assert done.code == 0
    assert "No OPA found" not in done.err


def test_a_folder_that_is_missing_is_a_usage_error(bare: Run) -> None:
    assert bare("policy", "check", "nowhere").code == errors.USAGE_EXIT_CODE


def test_show_lists_modules_and_prints_one(control: ControlPlane, run: Run) -> None:
    evidence.serve_policy(control)
    assert "library/access.rego" in run("policy", "show").out
    text = run("policy", "show", "library/access.rego").out
    assert text == evidence.POLICY.modules["library/access.rego"]
    told = json.loads(run("policy", "show", "library/access.rego", "-o", "json").out)
    assert told["text"] == text


def test_schemas_beside_the_modules_are_no_data(folder: Path, bare: Run) -> None:
    schemas = folder / "schemas"
    schemas.mkdir()
    for name in ("input.json", "other.json"):
        (schemas / name).write_text('{"$schema": "http://json-schema.org/draft-07/schema#"}')
    done = bare("policy", "test", str(folder), variables=WITH_OPA)
    assert "1 of 2 passed" in done.err
    assert bare("policy", "check", str(folder), variables=WITH_OPA).code == 0
