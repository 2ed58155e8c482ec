"""Rego tests on the embedded engine."""

import pytest

from mesh.decisions.policy import Policy
from mesh.decisions.testing import run_tests
from mesh.errors import PolicyInvalid
from tests.unit.decisions.examples import library

MODULE = "package mesh.a\n\nok if input.x == 1\n"


def outcomes(tests: str) -> dict[str, str | None]:
    modules = {
        "library/a.rego": MODULE,
        "library/a_test.rego": f"package mesh.a_test\n\nimport data.mesh.a\n\n{tests}\n",
    }
    return {outcome.name: outcome.failure for outcome in run_tests(Policy(modules))}


def test_the_librarys_tests_pass_on_the_embedded_engine() -> None:
    found = run_tests(Policy(library(tests=True)))

    assert [outcome for outcome in found if not outcome.passed] == []
    assert len(found) >= 42
    assert {outcome.name.split(".")[1] for outcome in found} == {
        "access_test",
        "clock_test",
        "layers_test",
        "masks_test",
    }


def test_tests_pass_and_fail_one_by_one() -> None:
    assert outcomes(
        "test_good if a.ok with input.x as 1\n\n"
        "test_bad if a.ok with input.x as 2\n\n"
        "test_value := 5"
    ) == {
        "mesh.a_test.test_good": None,
        "mesh.a_test.test_bad": "the policy is undefined for this input",
        "mesh.a_test.test_value": "its value is not true",
    }


def test_a_test_that_ends_the_worker_fails_alone() -> None:
    found = outcomes('test_a if input.x\n\ntest_b if rand.intn("x", 0)\n\ntest_c if 1 == 1')

    assert found["mesh.a_test.test_c"] is None
    assert "died" in str(found["mesh.a_test.test_b"])


def test_modules_without_tests_have_no_outcomes() -> None:
    assert run_tests(Policy({"library/a.rego": MODULE})) == []


def test_a_module_that_does_not_compile_is_refused() -> None:
    with pytest.raises(PolicyInvalid, match=r"library/a_test\.rego:5"):
        outcomes("test_a if {")
