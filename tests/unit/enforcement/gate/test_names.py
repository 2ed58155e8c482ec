"""Names mean exactly one dataset, and what runs names it in full."""

import string

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain_agent.enforcement.gate import Catalog, DatasetName, confirm
from domain_agent.enforcement.gate.names import Scope, check_cte, lowered, resolve
from mesh.errors import (
    MeshError,
    StatementNameAmbiguous,
    StatementNameReserved,
    StatementNameUnknown,
)
from tests.unit.enforcement.gate.corpus import CATALOG, pass_gate, serialize, text_of
from tests.unit.enforcement.gate.words import PLACES, quoted

_FLIGHTS = DatasetName("ops", "flights")


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("SELECT * FROM flights", "SELECT * FROM air.ops.flights"),
        ("SELECT * FROM OPS.Flights", "SELECT * FROM air.ops.flights"),
        ("SELECT * FROM AIR.ops.flights", "SELECT * FROM air.ops.flights"),
        ("SELECT * FROM flights AS f", "SELECT * FROM air.ops.flights AS f"),
        ("SELECT * FROM flights AS f(a)", "SELECT * FROM air.ops.flights AS f(a)"),
        ("SELECT flights.id FROM flights", "SELECT flights.id FROM air.ops.flights"),
        (
            "WITH c AS (FROM flights) SELECT * FROM c",
            "WITH c AS (SELECT * FROM air.ops.flights) SELECT * FROM c",
        ),
        (
            "SELECT (SELECT max(id) FROM crm.orders)",
            "SELECT (SELECT max(id) FROM air.crm.orders)",
        ),
    ],
)
def test_names_are_written_in_full(sql: str, text: str) -> None:
    assert text_of(pass_gate(sql).tree) == text


def test_datasets_are_sorted_and_distinct() -> None:
    checked = pass_gate(
        "WITH unused AS (FROM weather) SELECT * FROM flights a, FLIGHTS b, crm.orders "
        "WHERE EXISTS (FROM archive.orders)"
    )
    assert checked.datasets == (
        DatasetName("archive", "orders"),
        DatasetName("crm", "orders"),
        DatasetName("ops", "flights"),
        DatasetName("ops", "weather"),
    )


def test_statement_without_a_relation_reads_nothing() -> None:
    assert pass_gate("SELECT 1").datasets == ()


def test_ambiguous_name_says_what_to_write() -> None:
    with pytest.raises(StatementNameAmbiguous, match=r"archive\.orders, crm\.orders"):
        resolve(["orders"], CATALOG)


@pytest.mark.parametrize("path", [["flights"], ["ops", "flights"], ["air", "ops", "flights"]])
def test_one_two_and_three_parts_resolve(path: list[str]) -> None:
    assert resolve(path, CATALOG) == _FLIGHTS


@settings(deadline=None)
@given(st.lists(st.text(max_size=12), max_size=5))
def test_any_other_name_is_unknown(path: list[str]) -> None:
    if [lowered(part) for part in path] in (["flights"], ["weather"], ["passengers"]):
        return
    with pytest.raises((StatementNameUnknown, StatementNameAmbiguous)):
        resolve(path, CATALOG)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_lower_case_changes_the_26_letters_alone(text: str) -> None:
    assert lowered(text) == "".join(
        letter.lower() if letter in string.ascii_uppercase else letter for letter in text
    )


def test_product_and_domain_of_one_name_stay_apart() -> None:
    catalog = Catalog("crm", {"crm": {"crm": (), "orders": ()}})
    for name in ("crm", "crm.crm", "crm.crm.crm"):
        checked = pass_gate(f"SELECT * FROM {name}", catalog)
        assert text_of(checked.tree) == "SELECT * FROM crm.crm.crm"


@pytest.mark.parametrize("name", ["select", "table", "order", "values", "pivot", "unnest", "by"])
def test_dataset_named_like_a_keyword_stays_a_name(name: str) -> None:
    catalog = Catalog(name, {name: {name: ()}})
    checked = pass_gate(f'SELECT * FROM "{name}"."{name}"', catalog)
    assert checked.datasets == (DatasetName(name, name),)
    confirm(checked, serialize(text_of(checked.tree)), catalog)


def test_every_system_view_is_a_reserved_name() -> None:
    rows = duckdb.execute(
        "SELECT view_name FROM duckdb_views() WHERE internal "
        "AND schema_name <> 'information_schema'"
    ).fetchall()
    assert len(rows) > 30
    for (name,) in rows:
        with pytest.raises(StatementNameReserved):
            check_cte(name, CATALOG)


def test_scope_is_blind_to_case() -> None:
    assert Scope().having("Late").holds("lATE")
    assert not Scope().having("late").holds("later")


def test_a_name_in_a_refusal_is_short_and_printable() -> None:
    name = "x\u202e\u200b" * 200
    with pytest.raises(MeshError) as refusal:
        pass_gate(f'SELECT * FROM "{name}"')
    assert refusal.value.message.isprintable()
    assert len(refusal.value.message) < 400


_IDENTIFIERS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12
)


@settings(deadline=None)
@given(st.sampled_from(PLACES), _IDENTIFIERS)
def test_no_name_becomes_syntax(place: str, identifier: str) -> None:
    try:
        checked = pass_gate(place.replace("{}", quoted(identifier)))
    except MeshError:
        return
    confirm(checked, serialize(text_of(checked.tree)), CATALOG)


@settings(deadline=None)
@given(_IDENTIFIERS)
def test_no_text_becomes_syntax(text: str) -> None:
    literal = "'" + text.replace("'", "''") + "'"
    try:
        checked = pass_gate(
            f"SELECT {literal}, tags[{literal}] FROM flights WHERE carrier LIKE {literal}"
        )
    except MeshError:
        return
    confirm(checked, serialize(text_of(checked.tree)), CATALOG)
