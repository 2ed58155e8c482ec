"""Each check of a layer fails on a case of its own, at its line; nothing gets past."""

from typing import Any

import pytest

from mesh.decisions import checking
from mesh.decisions.checks import CHECKS, Check, Outcome, Report
from mesh.errors import RequestInvalid
from tests.unit.decisions.examples import library_policy
from tests.unit.decisions.layers import OPA, TESTS, by_name, checked, modules, outcomes

SENTENCE = "# METADATA\n# title: organisation.b\n# description: Something is needed.\n"
LOOPS = "\n\t\t".join(f"some {name} in input.dataset.classes" for name in "abcd")
SLOW = f"""limits contains {{"rows": 5}} if slow

slow if {{
	count([1 |
		{LOOPS}
	]) > 0
}}
"""

# The rules, the check that fails, the line that it names, and what it says.
CASES: dict[str, tuple[str, str, int, str]] = {
    "a built-in that is not allowed": (
        'b if lower(input.purpose) == "a"\n',
        "rules",
        5,
        "`lower` can't be used",
    ),
    "another form": ("b if  input.purpose\n", "format", 5, "puts `b if input.purpose` here"),
    "a field misspelt": ("b if input.purpos\n", "strict", 5, "undefined ref: input.purpos"),
    "a field of the agreement misspelt": (
        "b if input.agreement.consmer\n",
        "strict",
        5,
        "undefined ref",
    ),
    "a field misspelt behind an unused variable": (
        "b if {\n\tx := input.purpose\n}\n\nc if input.purpos\n",
        "strict",
        9,
        "undefined ref: input.purpos",
    ),
    "a schema of its own": (
        "# METADATA\n# schemas:\n#   - input: {type: object}\nb if input.purpos\n",
        "strict",
        8,
        "undefined ref: input.purpos",
    ),
    "METADATA that is no YAML": (
        "# METADATA\n# title: [b\nb if input.purpose\n",
        "strict",
        6,
        "yaml",
    ),
    "a function that is nowhere": ("b if unknown(input.purpose)\n", "rules", 5, "`unknown`"),
    "no Rego": ("b if {\n", "compile", 5, "unclosed"),
    "a conflict": (
        'b := 1 if input.purpose\n\nb := 2 if input.action\n\nlimits contains {"rows": b}\n',
        "shape",
        7,
        "gives several values at once",
    ),
    "a conflict of a function": (
        'f(x) := x\n\nf(x) := x + 1\n\nlimits contains {"rows": f(5)}\n',
        "shape",
        9,
        "gives several values at once",
    ),
    "a built-in that fails": (
        'limits contains {"rows": 5} if b\n\nb if abs(input.purpose) > 0\n',
        "shape",
        7,
        "calls a built-in function with what that can't take",
    ),
    "recursion": (
        'limits contains {"rows": 5} if b\n\nb if c\n\nc if b\n',
        "shape",
        7,
        "depends on itself",
    ),
    "an endless function": (
        'limits contains {"rows": 5} if f(1)\n\nf(n) if f(n + 1)\n',
        "shape",
        7,
        "depends on itself",
    ),
    "a slow rule": (SLOW, "shape", 7, "takes more than 50 ms of CPU time"),
    "an unknown mask": (
        'masks contains {"rule": "organisation.b", "class": class.id, "mask": "blur"} if {\n'
        "\tsome class in input.dataset.classes\n}\n",
        "shape",
        5,
        "a mask is one of clear, generalise,",
    ),
    "a mask for no class": (
        'masks contains {"rule": "organisation.b", "class": "c99", "mask": "null"}\n',
        "shape",
        5,
        "a mask is for the `id`",
    ),
    "a mask that is no object": ("masks contains 3\n", "shape", 5, "an object"),
    "the row filter of the second rule": (
        'rows contains {"rule": "organisation.b", "filter": {"column": "a", "op": "is_null", '
        '"value": true}}\n\n'
        'rows contains {"rule": "organisation.c", "filter": {"column": "a"}}\n',
        "shape",
        7,
        "a row filter is structured",
    ),
    "a limit that is a text": ('limits contains {"rows": "9"}\n', "shape", 3, "a limit is"),
    "an end that is no instant": ('valid_until contains "soon"\n', "shape", 5, "an end is"),
    "a rule that no test reaches": (
        f'{SENTENCE}require["organisation.b"] if {{\n\tinput.purpose == "a"\n'
        '\tinput.action == "read"\n}\n',
        "coverage",
        8,
        "no test reaches lines 8 to 10",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_check_fails_on_its_own_case(name: str) -> None:
    rules, failing, line, told = CASES[name]
    report = checked(modules(rules))
    found = by_name(report)[failing]
    assert found.outcome is Outcome.FAILED
    assert any(
        (one.path, one.line) == ("a.rego", line) and told in one.message for one in found.problems
    ), found.problems
    assert report.failed
    assert not report.passed


def test_a_good_layer_passes_every_check() -> None:
    report = checked(modules())
    assert [(check.name, check.outcome) for check in report.checks] == [
        (name, Outcome.PASSED) for name in CHECKS
    ]
    assert [problem for check in report.checks for problem in check.problems] == []
    assert report.passed
    assert report.coverage == 100
    assert [(one.name, one.path, one.line) for one in report.tests] == [
        ("mesh.organisation_test.test_limit", "a_test.rego", 5)
    ]


def test_a_failing_test_is_named_with_its_line() -> None:
    report = checked(modules(tests=TESTS + "\ntest_other if organisation.limits == set_of\n"))
    (problem,) = by_name(report)["tests"].problems
    assert (problem.path, problem.line) == ("a_test.rego", 9)
    assert problem.message.startswith("test_other: ")
    assert by_name(report)["coverage"].about in ("tests failed", "strict failed")


def test_no_tests_at_all_is_a_failure() -> None:
    pushed = modules()
    del pushed["a_test.rego"]
    report = checked(pushed)
    (problem,) = by_name(report)["tests"].problems
    assert "there are no tests" in problem.message
    assert outcomes(report, Outcome.NOT_RUN) == ["coverage"]


def test_the_problem_says_on_which_input() -> None:
    rules = 'limits contains {"rows": 0} if input.subject.kind == "service"\n'
    (problem,) = by_name(checked(modules(rules)))["shape"].problems
    assert problem.message.endswith("on a service's read at midnight of the year's end")


def test_the_floor_of_coverage_is_kept_to() -> None:
    rules = 'b if {\n\tinput.purpose == "a"\n\tinput.action == "read"\n}\n'
    assert by_name(checked(modules(rules)))["coverage"].outcome is Outcome.FAILED
    report = checked(modules(rules), floor=20)
    assert by_name(report)["coverage"].outcome is Outcome.PASSED
    assert report.coverage is not None
    assert 20 <= report.coverage < 90


def test_without_opa_what_needs_it_was_not_run_and_the_report_has_not_passed() -> None:
    report = checked(modules("b if  input.purpos\n"), opa=None)
    assert outcomes(report, Outcome.NOT_RUN) == ["format", "strict", "coverage"]
    assert outcomes(report, Outcome.FAILED) == []
    assert not report.passed
    assert {check.about for check in report.not_run} == {"there is no OPA"}


@pytest.mark.parametrize(
    ("pushed", "not_run"),
    [
        ({"a.rego": b"\xff"}, list(CHECKS[1:])),
        (modules("allow := true\n"), ["compile", "shape", "tests", "coverage"]),
        (modules("b if {\n"), ["shape", "tests", "coverage"]),
        (modules("masks contains 3\n"), ["tests", "coverage"]),
        (modules("b if input.purpos\n"), ["coverage"]),
    ],
    ids=["size", "rules", "compile", "shape", "strict"],
)
def test_what_can_mean_nothing_after_a_failure_is_not_run(
    pushed: dict[str, bytes | str], not_run: list[str]
) -> None:
    assert outcomes(checked(pushed), Outcome.NOT_RUN) == not_run


def test_whatever_goes_wrong_in_a_check_fails_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    for name in ("lint_bounded", "format_problems", "strict_problems", "shape_problems"):
        monkeypatch.setattr(checking, name, broken)
    monkeypatch.setattr(checking, "layer_outcomes", broken)
    report = checked(modules())
    assert outcomes(report, Outcome.PASSED) == ["size"]
    assert outcomes(report, Outcome.FAILED) == ["rules", "format", "strict"]
    assert "ZeroDivisionError" in by_name(report)["rules"].problems[0].message


def test_a_report_without_every_check_has_not_passed() -> None:
    assert not Report("domain", ()).passed
    assert not Report("domain", (Check("size", Outcome.PASSED, ""),)).passed


def test_a_layer_has_one_of_two_names() -> None:
    with pytest.raises(RequestInvalid, match="organisation, domain"):
        checking.check_layer("library", modules(), library_policy(), OPA)


def test_a_domains_layer_states_its_own_rules() -> None:
    own = {path: str(text).replace("organisation", "domain") for path, text in modules().items()}
    assert checking.check_layer("domain", own, library_policy(), OPA).passed
    foreign = checking.check_layer("domain", modules(), library_policy(), OPA)
    assert outcomes(foreign, Outcome.FAILED) == ["rules"]
