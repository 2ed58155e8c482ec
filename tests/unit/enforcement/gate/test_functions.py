"""Every function of this DuckDB is known: allowed by name, or refused for a stated cause."""

import json

import duckdb
import pytest

from domain_agent.enforcement.gate.functions import (
    ALLOWED,
    CALLS_WITHOUT_BRACKETS,
    GROUPS,
    LAMBDA_FUNCTIONS,
    NAMING_FUNCTIONS,
    OPERATORS,
    TABLE_FUNCTIONS,
)
from mesh.errors import MeshError
from tests.unit.enforcement.gate.corpus import HERE, pass_gate

_REFUSED = json.loads((HERE / "refused_functions.json").read_text(encoding="utf-8"))
_IN_EXPRESSIONS = ("scalar", "aggregate", "macro", "window")
# Bound by the binder itself, so the catalog does not list it as a scalar.
_UNLISTED = {"unnest"}


def _functions(*kinds: str) -> set[str]:
    rows = duckdb.execute(
        "SELECT DISTINCT lower(function_name) FROM duckdb_functions() "
        "WHERE function_type IN (SELECT unnest(?))",
        [list(kinds)],
    ).fetchall()
    return {row[0] for row in rows}


def _refused_in_expressions() -> set[str]:
    return {name for names in _REFUSED["functions"].values() for name in names}


def test_the_classification_is_of_the_installed_version() -> None:
    assert _REFUSED["duckdb"] == duckdb.__version__


def test_every_function_is_either_allowed_or_refused() -> None:
    known = ALLOWED | _refused_in_expressions()
    assert _functions(*_IN_EXPRESSIONS) - known == set()
    assert not ALLOWED & _refused_in_expressions()


def test_no_function_is_classified_that_does_not_exist() -> None:
    known = ALLOWED | _refused_in_expressions()
    assert known - _UNLISTED - _functions(*_IN_EXPRESSIONS) == set()


def test_every_table_function_but_unnest_is_refused() -> None:
    assert _functions("table", "table_macro") == TABLE_FUNCTIONS | set(_REFUSED["table_functions"])
    assert _functions("pragma") == set(_REFUSED["pragmas"])


def test_every_kind_of_function_is_looked_at() -> None:
    rows = duckdb.execute("SELECT DISTINCT function_type FROM duckdb_functions()").fetchall()
    assert {row[0] for row in rows} == {*_IN_EXPRESSIONS, "table", "table_macro", "pragma"}


def test_a_function_is_in_one_group() -> None:
    assert sum(len(names) for names in GROUPS.values()) == len(ALLOWED)
    assert OPERATORS | LAMBDA_FUNCTIONS | NAMING_FUNCTIONS | TABLE_FUNCTIONS <= ALLOWED


@pytest.mark.parametrize("cause", _REFUSED["functions"])
def test_refused_function_is_refused_however_it_is_called(cause: str) -> None:
    for name in _REFUSED["functions"][cause]:
        if not name[0].isalpha() and name[0] != "_":
            continue
        quoted = f'"{name}"'
        for sql in (
            f"SELECT {quoted}(id) FROM flights",
            f"SELECT {quoted.upper()}(id) FROM flights",
            f"SELECT {quoted}(id) OVER () FROM flights",
            f"SELECT * FROM {quoted}(1)",
            f"SELECT id FROM flights WHERE {quoted}(DISTINCT id ORDER BY id) > 0",
        ):
            _assert_not_allowed(sql)


def test_refused_table_function_is_refused_in_from() -> None:
    for name in _REFUSED["table_functions"]:
        _assert_not_allowed(f'SELECT * FROM "{name}"(1)')
        _assert_not_allowed(f'SELECT * FROM flights, LATERAL "{name}"(id)')


def _assert_not_allowed(sql: str) -> None:
    with pytest.raises(MeshError) as refusal:
        pass_gate(sql)
    assert refusal.value.reason == "statement.function_not_allowed", sql


def test_names_that_bind_as_calls_without_brackets_are_known() -> None:
    bound = {
        name for name in _functions("scalar", "aggregate", "macro", "window") if _binds_bare(name)
    }
    harmless = {"current_date", "user"}
    assert bound - harmless == CALLS_WITHOUT_BRACKETS


def _binds_bare(name: str) -> bool:
    quoted = name.replace('"', '""')
    try:
        duckdb.execute(f'SELECT "{quoted}"')
    except duckdb.Error:
        return False
    return True
