import json
import threading

import pytest

from cli.errors import failure, wants_json
from mesh import errors
from tests.unit.cli.services import ControlPlane
from tests.unit.cli.terminal import Run

TABLE = {
    "bug": 1,
    "not found": 3,
    "invalid": 4,
    "conflict": 5,
    "precondition": 5,
    "stale": 5,
    "denied": 6,
    "unauthenticated": 7,
    "exhausted": 8,
    "unavailable": 9,
}


def example(kind: type[errors.MeshError]) -> errors.MeshError:
    return kind.__subclasses__()[0]("it happened; do this next", product="bookings.reservations")


@pytest.mark.parametrize("kind", errors.KINDS, ids=lambda kind: str(kind.kind.name))
def test_the_exit_code_is_that_of_the_errors_kind(
    kind: type[errors.MeshError], control: ControlPlane, run: Run
) -> None:
    control.answers["GetCaller"] = example(kind)
    done = run("token", "show")
    assert done.code == TABLE[kind.kind.name]
    assert done.out == ""
    assert "it happened; do this next" in done.err


@pytest.mark.parametrize("kind", errors.KINDS, ids=lambda kind: str(kind.kind.name))
def test_json_output_makes_errors_json_on_stderr(
    kind: type[errors.MeshError], control: ControlPlane, run: Run
) -> None:
    control.answers["GetCaller"] = example(kind)
    done = run("token", "show", "-o", "json")
    assert done.code == TABLE[kind.kind.name]
    assert done.out == ""
    assert json.loads(done.err) == {
        "reason": example(kind).reason,
        "message": "it happened; do this next",
        "metadata": {"product": "bookings.reservations"},
    }


def test_an_error_of_the_server_names_its_call_id_and_no_detail(
    control: ControlPlane, run: Run
) -> None:
    control.answers["GetCaller"] = ZeroDivisionError("secret detail")
    done = run("token", "show")
    assert done.code == 1
    assert "call id" in done.err
    assert "secret detail" not in done.err


def test_a_policys_own_reason_is_shown_as_the_reason(control: ControlPlane, run: Run) -> None:
    control.answers["GetCaller"] = errors.PolicyDenied("not in the EU", id="organisation.residency")
    assert "organisation.residency" in run("token", "show").err


def test_no_server_is_a_usage_error_with_the_next_step(bare: Run) -> None:
    done = bare("product", "list")
    assert done.code == errors.USAGE_EXIT_CODE
    assert "MESH_SERVER" in done.err
    assert "mesh context set" in done.err


def test_no_token_is_unauthenticated_with_the_next_step(bare: Run) -> None:
    done = bare("product", "list", "--server", "127.0.0.1:1")
    assert done.code == errors.Unauthenticated.kind.exit_code
    assert "MESH_TOKEN" in done.err


def test_a_server_that_nobody_serves_is_unavailable(bare: Run) -> None:
    done = bare("product", "list", "--server", "127.0.0.1:1", "--token", "t")
    assert done.code == errors.Unavailable.kind.exit_code
    assert "127.0.0.1:1 can't be reached" in done.err
    assert "mesh context show" in done.err


def test_a_late_answer_is_unavailable(control: ControlPlane, run: Run) -> None:
    gate = threading.Event()

    def late(_: object) -> object:
        gate.wait(10)
        return errors.InternalError("late")

    control.answers["GetCaller"] = late  # type: ignore[assignment] # never read
    done = run("token", "show", "--timeout", "0.05")
    gate.set()
    assert done.code == errors.Unavailable.kind.exit_code
    assert done.err.count("\n") <= 4


@pytest.mark.parametrize(
    ("typed", "meant"), [("prodct", "product"), ("acces", "access"), ("qeury", "query")]
)
def test_a_mistyped_command_is_told_what_was_meant(typed: str, meant: str, bare: Run) -> None:
    done = bare(typed)
    assert done.code == errors.USAGE_EXIT_CODE
    assert f"Did you mean {meant}?" in done.err


def test_a_mistyped_verb_is_told_what_was_meant(bare: Run) -> None:
    done = bare("product", "lits")
    assert done.code == errors.USAGE_EXIT_CODE
    assert "Did you mean list?" in done.err


def test_usage_errors_are_json_too(bare: Run) -> None:
    done = bare("product", "list", "--nonsense", "-o", "json")
    assert done.code == errors.USAGE_EXIT_CODE
    assert json.loads(done.err)["reason"] == "usage"


def test_an_unknown_exception_is_a_defect_without_a_traceback() -> None:
    try:
        raise KeyError("x")
    except KeyError as error:
        failed = failure(error)
    assert failed.exit_code == 1
    assert "KeyError" in failed.message
    assert "Traceback" not in failed.message


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-o", "json"], True),
        (["-ojson"], True),
        (["--output=json"], True),
        (["--output", "json", "x"], True),
        (["x", "-o", "yaml"], False),
        (["-o", "json", "-o", "table"], False),
        (["query", "--", "-o", "json"], False),
        ([], False),
    ],
)
def test_json_is_recognised_wherever_it_is_asked_for(words: list[str], expected: bool) -> None:
    assert wants_json(words) is expected


def test_messages_cannot_steer_the_terminal(control: ControlPlane, run: Run) -> None:
    control.answers["GetCaller"] = errors.DutyMissing("red \x1b[31malert\x1b[0m \u202egnp")
    done = run("token", "show", size=(80, 24), variables={"NO_COLOR": "1"})
    assert "\x1b" not in done.err
    assert "\u202e" not in done.err
    assert "\\x1b[31malert" in done.err
