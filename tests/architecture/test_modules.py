"""Where things may live, and how long they may be: what import-linter can't see."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("mesh", "control_plane", "domain_agent", "cli")
GENERATED = ("mesh/v1/", "mesh/arrow/")


def modules() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if not name.startswith(GENERATED):
                yield name, path.read_text()


def imported(text: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_no_module_is_longer_than_300_lines() -> None:
    long = [name for name, text in modules() if text.count("\n") > 300]
    assert long == []


def test_duckdb_runs_in_the_worker_only() -> None:
    users = {name for name, text in modules() if "duckdb" in imported(text)}
    assert users
    assert all(name.startswith("domain_agent/worker/") for name in users)


def test_pyarrow_flight_serves_nothing_here() -> None:
    users = {
        name
        for name, text in modules()
        if any(module.startswith("pyarrow.flight") for module in imported(text))
    }
    assert users == set()


def test_no_drawer_for_everything() -> None:
    drawers = {"utils", "helpers", "common", "manager"}
    assert [name for name, _ in modules() if Path(name).stem in drawers] == []


def test_only_entry_points_read_the_environment() -> None:
    entries = {"cli/main.py"}
    readers = {
        name
        for name, text in modules()
        if ("os.environ" in text or "getenv" in text) and not name.endswith("__main__.py")
    }
    assert readers <= entries
