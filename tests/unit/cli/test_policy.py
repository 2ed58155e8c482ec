import json
import os
import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest

from mesh import errors
from mesh.decisions.checks import CHECKS
from mesh.decisions.shipped import starter
from tests.unit.cli import evidence
from tests.unit.cli.services import ControlPlane
from tests.unit.cli.terminal import Outcome, Run

ROOT = evidence.POLICIES.parent
WITH_OPA = {"PATH": str(ROOT / ".cache" / "bin") + os.pathsep + os.environ["PATH"]}
FAILED = errors.Invalid.kind.exit_code
LAYER = ("--layer", "organisation")

MODULE = """package mesh.organisation

limits contains {"rows": 9} if input.purpose == "audit"
"""
TESTS = """package mesh.organisation_test

import data.mesh.organisation

test_audits_are_limited if {
	organisation.limits == {{"rows": 9}} with input.purpose as "audit"
}
"""
FAILING = """
test_others_are_limited if {
	organisation.limits == {{"rows": 9}} with input.purpose as "planning"
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one good module and its test; no OPA nearby."""
    monkeypatch.chdir(tmp_path)
    rules = Path("rules")
    rules.mkdir()
    (rules / "limits.rego").write_text(MODULE)
    (rules / "limits_test.rego").write_text(TESTS)
    return rules


@pytest.fixture
def failing(folder: Path) -> Path:
    """The folder with a test that fails and a field that is misspelt."""
    (folder / "limits.rego").write_text(MODULE + '\nodd if input.purpos == "a"\n')
    (folder / "limits_test.rego").write_text(TESTS + FAILING)
    return folder


def check(run: Run, folder: Path, *options: str, **kwargs: Any) -> Outcome:
    kwargs.setdefault("variables", WITH_OPA)
    return run("policy", "check", str(folder), *LAYER, *options, **kwargs)


def test_a_good_layer_passes(folder: Path, bare: Run) -> None:
    done = check(bare, folder)
    assert (done.code, done.err) == (0, "")
    assert re.findall(r"^(\w+) +✓ passed", done.out, re.M) == list(CHECKS)


def test_problems_stand_below_the_table_at_their_places(failing: Path, bare: Run) -> None:
    done = check(bare, failing)
    assert done.code == FAILED
    assert re.search(r"^strict +✗ failed", done.out, re.M)
    assert re.search(r"^coverage +– not run +strict failed$", done.out, re.M)
    lines = done.out.splitlines()
    assert "rules/limits.rego:5: undefined ref: input.purpos" in lines
    assert any(line.startswith("rules/limits_test.rego:9: test_others") for line in lines)


@pytest.mark.parametrize("name", ["good", "failing"])
def test_it_is_readable_at_80_columns(name: str, request: pytest.FixtureRequest, bare: Run) -> None:
    folder = request.getfixturevalue("folder" if name == "good" else "failing")
    (folder / "limits.rego").write_text(
        (folder / "limits.rego").read_text() + "\nlimits contains 3\n"
    )
    done = check(bare, folder, size=(80, 24), variables={**WITH_OPA, "NO_COLOR": "1"})
    assert "✗ failed" in done.out
    assert [line for line in (done.out + done.err).splitlines() if len(line) > 80] == []


def test_without_opa_it_warns_and_only_asked_to_it_fails(folder: Path, bare: Run) -> None:
    done = check(bare, folder, "--quiet", variables={})
    assert done.code == 0
    assert "warning: no OPA found, so not run: format, strict" in done.err
    assert len(re.findall("– not run", done.out)) == 3
    assert check(bare, folder, "--require-all", variables={}).code == FAILED
    assert check(bare, folder, "--require-all").code == 0


def test_a_failure_without_opa_is_one_all_the_same(folder: Path, bare: Run) -> None:
    (folder / "limits.rego").write_text(MODULE + "\nallow := true\n")
    done = check(bare, folder, variables={})
    assert done.code == FAILED
    assert "rules/limits.rego:5: a layer has no rule `allow`" in done.out


def test_the_floor_of_coverage_is_asked_for(folder: Path, bare: Run) -> None:
    (folder / "limits.rego").write_text(MODULE + '\nodd if input.purpose == "a"\n')
    done = check(bare, folder)
    assert done.code == FAILED
    assert "rules/limits.rego:5: no test reaches line 5" in done.out
    assert check(bare, folder, "--coverage", "50").code == 0
    assert check(bare, folder, "--coverage", "101").code == errors.USAGE_EXIT_CODE


def test_json_has_all_of_it(failing: Path, bare: Run) -> None:
    done = check(bare, failing, "-o", "json")
    told = json.loads(done.out)
    assert done.code == FAILED
    assert (told["layer"], told["passed"], told["coverage"]) == ("organisation", False, None)
    assert [one["check"] for one in told["checks"]] == list(CHECKS)
    assert {one["check"]: one["result"] for one in told["checks"]}["coverage"] == "not_run"
    (strict,) = [one for one in told["checks"] if one["check"] == "strict"]
    assert strict["problems"] == [
        {"file": "rules/limits.rego", "line": 5, "message": "undefined ref: input.purpos"}
    ]
    assert [one["result"] for one in told["tests"]] == ["passed", "failed"]


def junit(bare: Run, folder: Path, **kwargs: Any) -> Element:
    check(bare, folder, "--junit", "checks.xml", **kwargs)
    return fromstring(Path("checks.xml").read_text())  # noqa: S314 - we wrote it


def test_junit_has_a_case_for_each_check_and_each_test(failing: Path, bare: Run) -> None:
    root = junit(bare, failing)
    checks, tests = root.findall("testsuite")
    assert [case.get("name") for case in checks] == list(CHECKS)
    assert (checks.get("tests"), checks.get("failures"), checks.get("skipped")) == ("8", "2", "1")
    assert [(case.get("name"), len(case)) for case in tests] == [
        ("test_audits_are_limited", 0),
        ("test_others_are_limited", 1),
    ]
    assert tests.get("failures") == "1"
    (failure,) = tests.findall("testcase/failure")
    assert str(failure.text).startswith("rules/limits_test.rego:9: ")


def test_junit_is_xml_whatever_stands_in_a_module(folder: Path, bare: Run) -> None:
    text = "\x85<&]]>\uffff\ufffe\u202e"
    (folder / "limits.rego").write_text(f'{MODULE}\n odd := "{text}"\nrequire["{text}"] := 1\n')
    assert junit(bare, folder).findall("testsuite/testcase/failure")


def sarif(bare: Run, folder: Path, **kwargs: Any) -> dict[str, Any]:
    check(bare, folder, "--sarif", "checks.sarif", **kwargs)
    told = json.loads(Path("checks.sarif").read_text())
    assert (told["version"], len(told["runs"])) == ("2.1.0", 1)
    run: dict[str, Any] = told["runs"][0]
    return run


def test_sarif_has_each_problem_under_its_check(failing: Path, bare: Run) -> None:
    run = sarif(bare, failing)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == list(CHECKS)
    assert all(rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"])
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] == "error"
        assert result["message"]["text"]
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert not place["artifactLocation"]["uri"].startswith("/")
        assert place["region"]["startLine"] >= 1
    assert {
        (
            one["ruleId"],
            one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            one["locations"][0]["physicalLocation"]["region"]["startLine"],
        )
        for one in run["results"]
    } == {("strict", "rules/limits.rego", 5), ("tests", "rules/limits_test.rego", 9)}
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is True
    (notification,) = invocation["toolExecutionNotifications"]
    assert notification["message"]["text"] == "coverage was not run: strict failed"


def test_sarif_of_a_good_layer_has_no_results(folder: Path, bare: Run) -> None:
    assert sarif(bare, folder)["results"] == []


def test_sarif_names_files_of_an_absolute_folder_and_odd_ones(folder: Path, bare: Run) -> None:
    odd = folder.absolute().parent / "a b"
    folder.absolute().rename(odd)
    (odd / "limits.rego").write_text(MODULE + "\nallow := true\n")
    result = sarif(bare, odd)["results"][0]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == (odd / "limits.rego").as_uri()
    result = sarif(bare, Path("a b"))["results"][0]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "a%20b/limits.rego"


@pytest.mark.parametrize("option", ["--junit", "--sarif"])
def test_a_report_is_written_whole_or_not_at_all(option: str, folder: Path, bare: Run) -> None:
    there = Path("there")
    there.mkdir()
    for file in ("nowhere/report", "there"):
        done = check(bare, folder, option, file)
        assert done.code == errors.USAGE_EXIT_CODE
    assert sorted(path.name for path in Path().iterdir()) == ["rules", "there"]
    assert list(there.iterdir()) == []


def test_failing_tests_are_named(failing: Path, bare: Run) -> None:
    done = bare("policy", "test", str(failing), *LAYER, variables=WITH_OPA)
    assert done.code == FAILED
    assert "test_others_are_limited" in done.out
    assert "test_audits_are_limited" not in done.out
    assert "1 of 2 passed" in done.err
    told = json.loads(
        bare("policy", "test", str(failing), *LAYER, "-o", "json", variables=WITH_OPA).out
    )
    assert {test["test"]: test["result"] for test in told} == {
        "mesh.organisation_test.test_audits_are_limited": "passed",
        "mesh.organisation_test.test_others_are_limited": "failed",
    }
    assert [(test["file"], test["line"]) for test in told] == [
        ("rules/limits_test.rego", 5),
        ("rules/limits_test.rego", 9),
    ]


def test_both_engines_tell_the_same_of_tests(failing: Path, bare: Run) -> None:
    def results(variables: dict[str, str]) -> list[tuple[object, ...]]:
        done = bare("policy", "test", str(failing), *LAYER, "-o", "json", variables=variables)
        return [(t["test"], t["result"], t["file"], t["line"]) for t in json.loads(done.out)]

    assert results(WITH_OPA) == results({})


@pytest.mark.parametrize("variables", [WITH_OPA, {}], ids=["opa", "embedded"])
def test_no_tests_are_no_success(folder: Path, bare: Run, variables: dict[str, str]) -> None:
    (folder / "limits_test.rego").unlink()
    done = bare("policy", "test", str(folder), *LAYER, variables=variables)
    assert done.code == FAILED
    assert "No tests" in done.err


@pytest.mark.parametrize("variables", [WITH_OPA, {}], ids=["opa", "embedded"])
def test_tests_that_do_not_compile_fail(folder: Path, bare: Run, variables: dict[str, str]) -> None:
    (folder / "limits_test.rego").write_text(TESTS + "\ntest_open if {\n")
    done = bare("policy", "test", str(folder), *LAYER, variables=variables)
    assert done.code == FAILED
    assert re.search(r"limits_test\.rego:\d+: ", done.err)


def test_without_opa_tests_run_on_the_embedded_engine_and_it_says_so(
    failing: Path, bare: Run
) -> None:
    done = bare("policy", "test", str(failing), *LAYER)
    assert done.code == FAILED
    assert "No OPA found" in done.err
    assert "test_others_are_limited" in done.out
    assert "1 of 2 passed" in done.err


def test_opa_is_found_in_the_projects_cache(
    bare: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absolute = folder.absolute()
    monkeypatch.chdir(ROOT)
    done = check(bare, absolute, variables={})
    assert done.code == 0
    assert "no OPA" not in done.err


@pytest.mark.parametrize("verb", ["check", "test"])
def test_a_folder_that_is_missing_is_a_usage_error(verb: str, bare: Run) -> None:
    assert bare("policy", verb, "nowhere", *LAYER).code == errors.USAGE_EXIT_CODE


@pytest.mark.parametrize("verb", ["check", "test", "init"])
def test_the_layer_is_one_of_two(verb: str, folder: Path, bare: Run) -> None:
    assert bare("policy", verb, str(folder)).code == errors.USAGE_EXIT_CODE
    done = bare("policy", verb, str(folder), "--layer", "library")
    assert done.code == errors.USAGE_EXIT_CODE


@pytest.mark.parametrize("verb", ["check", "test"])
def test_a_link_in_the_folder_is_not_followed(verb: str, folder: Path, bare: Run) -> None:
    (folder / "more.rego").symlink_to("/etc/passwd")
    done = bare("policy", verb, str(folder), *LAYER, variables=WITH_OPA)
    assert done.code == FAILED
    assert "is a link" in done.err


@pytest.mark.parametrize("layer", ["organisation", "domain"])
def test_what_init_writes_passes_every_check(
    layer: str, bare: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = bare("policy", "init", "new/rules", "--layer", layer)
    assert done.code == 0
    assert "mesh policy check new/rules --layer" in done.err
    written = {path.name: path.read_text() for path in Path("new/rules").iterdir()}
    assert written == starter(layer)
    options = ("--layer", layer, "--coverage", "100", "--require-all")
    assert bare("policy", "check", "new/rules", *options, variables=WITH_OPA).code == 0


def test_init_never_replaces_a_file(folder: Path, bare: Run) -> None:
    done = bare("policy", "init", str(folder), *LAYER)
    assert done.code == errors.USAGE_EXIT_CODE
    assert "limits.rego, limits_test.rego already" in done.err
    assert (folder / "limits.rego").read_text() == MODULE
    assert len(list(folder.iterdir())) == 2


def test_init_does_not_write_through_a_link(folder: Path, bare: Run) -> None:
    rules = Path("others")
    rules.mkdir()
    (rules / "hours.rego").symlink_to("../outside.rego")
    assert bare("policy", "init", str(rules), *LAYER).code == errors.USAGE_EXIT_CODE
    assert not Path("outside.rego").exists()


def test_show_lists_modules_and_prints_one(control: ControlPlane, run: Run) -> None:
    evidence.serve_policy(control)
    assert "library/access.rego" in run("policy", "show").out
    text = run("policy", "show", "library/access.rego").out
    assert text == evidence.POLICY.modules["library/access.rego"]
    told = json.loads(run("policy", "show", "library/access.rego", "-o", "json").out)
    assert told["text"] == text
