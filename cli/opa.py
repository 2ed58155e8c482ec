"""The OPA program: where it is, and what it says of policies."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mesh import errors

TIMEOUT_SECONDS = 300
# A folder of JSON schemas for checking; OPA would load them as data.
SCHEMAS = "schemas"
LOCAL = Path(".cache/bin/opa")


@dataclass(frozen=True, slots=True)
class PolicyProblem:
    """What is wrong with a module, and where."""

    file: str
    line: int | None
    column: int | None
    message: str


@dataclass(frozen=True, slots=True)
class TestResult:
    """How one `test_` rule went: passed, failed, skipped or error."""

    name: str
    result: str
    file: str | None
    line: int | None

    @property
    def passed(self) -> bool:
        """It ran and held."""
        return self.result == "passed"

    @property
    def bad(self) -> bool:
        """It ran and did not hold."""
        return self.result.startswith(("failed", "error"))


class Opa:
    """Runs one program."""

    def __init__(self, program: Path) -> None:
        self.program = program

    def check(self, folder: Path) -> list[PolicyProblem]:
        """What `opa check --strict` finds; the folder's schemas are used when it has any."""
        schemas = folder / SCHEMAS
        named = ["--schema", str(schemas)] if schemas.is_dir() else []
        done = self._run("check", "--strict", "--format", "json", *named, str(folder))
        if done.returncode == 0:
            return []
        found = _json(done.stderr) or _json(done.stdout)
        problems = found.get("errors") if isinstance(found, dict) else None
        if not isinstance(problems, list) or not problems:
            raise errors.PolicyInvalid(_last_line(done), folder=str(folder))
        return [_problem(problem) for problem in problems]

    def test(self, folder: Path) -> list[TestResult]:
        """What `opa test` finds."""
        done = self._run("test", "--ignore", SCHEMAS, "--format", "json", str(folder))
        found = _json(done.stdout)
        if not isinstance(found, list):
            raise errors.PolicyInvalid(_last_line(done), folder=str(folder))
        return [_result(result) for result in found]

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(  # noqa: S603 - the program is OPA, the arguments are ours
                [str(self.program), *arguments],
                capture_output=True,
                text=True,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise errors.PolicyError(f"{self.program} can't be run: {error}") from error


def find_opa(variables: Mapping[str, str]) -> Opa | None:
    """OPA on the PATH, else in .cache/bin of the folder we are in, else none."""
    found = shutil.which("opa", path=variables.get("PATH", ""))
    if found is not None:
        return Opa(Path(found))
    local = LOCAL.absolute()
    return Opa(local) if local.is_file() else None


def _problem(problem: Mapping[str, object]) -> PolicyProblem:
    location = problem.get("location")
    place = location if isinstance(location, dict) else {}
    return PolicyProblem(
        str(place.get("file", "")),
        int(place.get("row", 0)),
        int(place.get("col", 0)),
        f"{problem.get('message')} ({problem.get('code')})",
    )


def _result(result: Mapping[str, object]) -> TestResult:
    location = result.get("location")
    place = location if isinstance(location, dict) else {}
    if result.get("error"):
        outcome = "error"
    elif result.get("fail"):
        outcome = "failed"
    else:
        outcome = "skipped" if result.get("skip") else "passed"
    package = str(result.get("package", "")).removeprefix("data.")
    return TestResult(
        f"{package}.{result.get('name')}",
        outcome,
        str(place.get("file", "")),
        int(place.get("row", 0)),
    )


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return f"opa: {said[-1]}" if said else f"opa ended with {done.returncode} and said nothing"
