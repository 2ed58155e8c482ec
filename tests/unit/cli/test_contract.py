import json
from pathlib import Path

import pytest

from cli.versions import enough, least_version
from mesh import errors
from mesh.v1 import contracts_pb2, purposes_pb2
from tests.unit.cli.services import ControlPlane
from tests.unit.cli.terminal import Run

SAMPLE = Path(__file__).parents[3] / "examples/airline/contracts/operations/flights.odcs.yaml"


@pytest.fixture
def good() -> str:
    return SAMPLE.read_text()


def written(folder: Path, name: str, text: str) -> str:
    file = folder / name
    file.write_text(text)
    return str(file)


def test_a_good_contract_has_no_problems(bare: Run) -> None:
    done = bare("contract", "lint", str(SAMPLE))
    assert (done.code, done.out) == (0, "")
    assert "1 file, 0 problems." in done.err


def test_every_problem_of_every_file_is_told_at_its_place(
    bare: Run, tmp_path: Path, good: str
) -> None:
    secret = good.replace("classification: public", "classification: secret", 1)
    one = written(tmp_path, "one.yaml", secret)
    two = written(tmp_path, "two.yaml", "kind: [")
    done = bare("contract", "lint", one, two, str(SAMPLE))
    assert done.code == errors.Invalid.kind.exit_code
    line = 1 + secret[: secret.index("classification: secret")].count("\n")
    assert f"{one}:{line}:" in done.out
    assert "classification" in done.out
    assert f"{two}:2:1 is not YAML" in done.out
    assert "3 files" in done.err


def test_problems_as_json_have_their_place_apart(bare: Run, tmp_path: Path) -> None:
    file = written(tmp_path, "two.yaml", "kind: [")
    (problem,) = json.loads(bare("contract", "lint", file, "-o", "json").out)
    assert problem["file"] == file
    assert problem["line"] == 2
    assert problem["message"]


def test_lint_reads_no_more_of_a_file_than_it_needs(bare: Run, tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    with file.open("wb") as writing:
        writing.truncate(50 * 1024 * 1024)
    done = bare("contract", "lint", str(file))
    assert done.code == errors.Exhausted.kind.exit_code
    assert "contract.too_large" in done.err


def test_purposes_are_checked_online_only(control: ControlPlane, run: Run) -> None:
    control.answers["ListPurposes"] = purposes_pb2.ListPurposesResponse(
        purposes=[purposes_pb2.Purpose(id="something-else")]
    )
    assert run("contract", "lint", str(SAMPLE)).code == 0
    assert control.asked == []
    done = run("contract", "lint", "--online", str(SAMPLE))
    assert done.code == errors.Invalid.kind.exit_code
    assert "purpose" in done.out


def test_equal_contracts_have_no_difference(bare: Run) -> None:
    done = bare("contract", "diff", str(SAMPLE), str(SAMPLE), "-o", "json")
    assert done.code == 0
    assert json.loads(done.out)["changes"] == []


def test_a_breaking_change_is_told_with_the_version_it_needs(
    bare: Run, tmp_path: Path, good: str
) -> None:
    file = written(
        tmp_path, "new.yaml", good.replace("classification: public", "classification: restricted")
    )
    done = bare("contract", "diff", str(SAMPLE), file)
    assert done.code == errors.DIFFERENT_EXIT_CODE
    assert "major" in done.out
    assert "use 2.0.0 or more" in done.err
    told = json.loads(bare("contract", "diff", str(SAMPLE), file, "-o", "json").out)
    assert told["required_bump"] == "major"
    assert told["version_rises_enough"] is False
    assert all(change["breaking"] for change in told["changes"])


def test_a_file_is_compared_with_what_is_published(
    control: ControlPlane, run: Run, tmp_path: Path, good: str
) -> None:
    published = contracts_pb2.Contract(document=good.encode())
    control.answers["GetContract"] = contracts_pb2.GetContractResponse(contract=published)
    assert run("contract", "diff", "--published", str(SAMPLE)).code == 0
    asked = control.last("GetContract")
    assert (asked.domain, asked.product, asked.version) == ("operations", "flights", "")


def test_an_invalid_contract_cannot_be_compared(bare: Run, tmp_path: Path) -> None:
    file = written(tmp_path, "bad.yaml", "kind: [")
    done = bare("contract", "diff", str(SAMPLE), file)
    assert done.code == errors.Invalid.kind.exit_code
    assert f"{file}:2:1" in done.err


@pytest.mark.parametrize("files", [(), ("a",), ("a", "b", "c")])
def test_diff_takes_two_files(files: tuple[str, ...], bare: Run) -> None:
    assert bare("contract", "diff", *files).code == errors.USAGE_EXIT_CODE


def test_a_contract_comes_from_stdin(
    bare: Run, good: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "piped.yaml"
    file.write_text(good)
    with file.open() as piped:
        monkeypatch.setattr("sys.stdin", piped)
        assert bare("contract", "lint", "-").code == 0


@pytest.mark.parametrize(
    ("old", "bump", "least"),
    [
        ("1.2.3", "major", "2.0.0"),
        ("1.2.3", "minor", "1.3.0"),
        ("1.2.3", "patch", "1.2.4"),
        ("v1", "minor", "1.1.0"),
    ],
)
def test_the_least_version_of_a_change(old: str, bump: str, least: str) -> None:
    assert least_version(old, bump) == least  # type: ignore[arg-type] # one of three
    assert enough(old, least, bump)  # type: ignore[arg-type]
    assert not enough(old, old, bump)  # type: ignore[arg-type]
