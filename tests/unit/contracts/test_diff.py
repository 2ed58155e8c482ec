"""What changed between two versions, and which changes break readers."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.contracts.diff import Bump, Change, What, diff, required_bump
from mesh.contracts.narrowing import narrows
from mesh.contracts.parse import read_contract
from mesh.contracts.values import Classification, Column, Contract, Dataset, Role, Server
from mesh.filters import (
    Both,
    Comparison,
    Either,
    Filter,
    Negation,
    Operator,
    parse_filter,
)
from tests.unit.contracts.documents import RIGHT

OLD = read_contract(RIGHT)
DATASET = OLD.datasets[0]
ANALYST, EU = OLD.roles
CLOSED = {"column": "country", "op": "eq", "value": "DE"}
WIDER = {"or": [EU.row_filter, {"column": "country", "op": "eq", "value": "IT"}]}


def with_column(index: int, **values: Any) -> Contract:
    columns = list(DATASET.columns)
    columns[index] = replace(columns[index], **values)
    return replace(OLD, datasets=(replace(DATASET, columns=tuple(columns)),))


def with_columns(*columns: Column) -> Contract:
    return replace(OLD, datasets=(replace(DATASET, columns=columns),))


ID, COUNTRY, BIRTH = DATASET.columns
NEW_COLUMN = Column("tier", "string", None, Classification.INTERNAL)
ROLE = "roles[eu-analyst]"
HERE = "datasets[passengers]"

CASES: list[tuple[Contract, str, What, Bump]] = [
    (replace(OLD, domain="sales"), "domain", What.CHANGED, Bump.MAJOR),
    (replace(OLD, product="trips"), "product", What.CHANGED, Bump.MAJOR),
    (replace(OLD, contract_id="x"), "id", What.CHANGED, Bump.PATCH),
    (replace(OLD, title="x"), "title", What.CHANGED, Bump.PATCH),
    (replace(OLD, owners=("olga",)), "owners", What.CHANGED, Bump.PATCH),
    (replace(OLD, status="deprecated"), "status", What.CHANGED, Bump.MINOR),
    (replace(OLD, status="retired"), "status", What.CHANGED, Bump.MAJOR),
    (replace(OLD, residency=None), "residency", What.CHANGED, Bump.MINOR),
    (replace(OLD, legal_basis="consent"), "legal basis", What.CHANGED, Bump.MINOR),
    (replace(OLD, server=Server("x", "parquet")), "server.path", What.CHANGED, Bump.PATCH),
    (
        replace(OLD, server=Server("shared/bookings", "csv")),
        "server.format",
        What.CHANGED,
        Bump.PATCH,
    ),
    (
        replace(OLD, purposes=("crew-planning",)),
        "purposes[customer-care]",
        What.REMOVED,
        Bump.MAJOR,
    ),
    (replace(OLD, purposes=(*OLD.purposes, "x")), "purposes[x]", What.ADDED, Bump.MINOR),
    (replace(OLD, purposes=()), "purposes", What.CHANGED, Bump.MINOR),
    (replace(OLD, roles=(ANALYST,)), ROLE, What.REMOVED, Bump.MAJOR),
    (replace(OLD, roles=(ANALYST, EU, Role("x"))), "roles[x]", What.ADDED, Bump.MINOR),
    (replace(OLD, roles=(EU, ANALYST)), "roles.order", What.CHANGED, Bump.MINOR),
    (
        replace(OLD, roles=(ANALYST, replace(EU, description="x"))),
        f"{ROLE}.description",
        What.CHANGED,
        Bump.PATCH,
    ),
    (
        replace(OLD, roles=(ANALYST, replace(EU, row_filter=CLOSED))),
        f"{ROLE}.rowFilter",
        What.CHANGED,
        Bump.MAJOR,
    ),
    (
        replace(OLD, roles=(ANALYST, replace(EU, row_filter=WIDER))),
        f"{ROLE}.rowFilter",
        What.CHANGED,
        Bump.MINOR,
    ),
    (
        replace(OLD, roles=(ANALYST, replace(EU, row_filter=None))),
        f"{ROLE}.rowFilter",
        What.CHANGED,
        Bump.MINOR,
    ),
    (
        replace(OLD, roles=(replace(ANALYST, row_filter=CLOSED), EU)),
        "roles[analyst].rowFilter",
        What.CHANGED,
        Bump.MAJOR,
    ),
    (replace(OLD, datasets=()), HERE, What.REMOVED, Bump.MAJOR),
    (
        replace(OLD, datasets=(DATASET, Dataset("x", "x", ()))),
        "datasets[x]",
        What.ADDED,
        Bump.MINOR,
    ),
    (
        replace(OLD, datasets=(replace(DATASET, file="x"),)),
        f"{HERE}.file",
        What.CHANGED,
        Bump.PATCH,
    ),
    (
        replace(OLD, datasets=(replace(DATASET, description=""),)),
        f"{HERE}.description",
        What.CHANGED,
        Bump.PATCH,
    ),
    (with_columns(ID, COUNTRY), f"{HERE}.columns[{BIRTH.name}]", What.REMOVED, Bump.MAJOR),
    (with_columns(ID, COUNTRY, BIRTH, NEW_COLUMN), f"{HERE}.columns[tier]", What.ADDED, Bump.MINOR),
    (with_columns(COUNTRY, ID, BIRTH), f"{HERE}.columns.order", What.CHANGED, Bump.MINOR),
    (with_column(1, logical_type="integer"), "logicalType", What.CHANGED, Bump.MAJOR),
    (with_column(0, physical_type="CHAR"), "physicalType", What.CHANGED, Bump.MAJOR),
    (with_column(1, physical_type="VARCHAR"), "physicalType", What.CHANGED, Bump.PATCH),
    (
        with_column(1, classification=Classification.PUBLIC),
        "classification",
        What.CHANGED,
        Bump.MINOR,
    ),
    (
        with_column(0, classification=Classification.RESTRICTED),
        "classification",
        What.CHANGED,
        Bump.MAJOR,
    ),
    (with_column(0, mask="constant"), "mask", What.CHANGED, Bump.MAJOR),
    (with_column(0, mask="partial"), "mask", What.CHANGED, Bump.MINOR),
    (with_column(0, mask=None), "mask", What.CHANGED, Bump.MAJOR),
    (with_column(0, category="contact"), "category", What.CHANGED, Bump.MINOR),
    (with_column(0, tags=()), "tags", What.CHANGED, Bump.MINOR),
    (with_column(0, subject_key=False), "subjectKey", What.CHANGED, Bump.MINOR),
    (with_column(0, required=False), "required", What.CHANGED, Bump.MINOR),
    (with_column(0, description="x"), "description", What.CHANGED, Bump.PATCH),
]


@pytest.mark.parametrize(("new", "where", "what", "bump"), CASES)
def test_one_change_is_told_with_its_place_and_weight(
    new: Contract, where: str, what: What, bump: Bump
) -> None:
    changes = diff(OLD, new)

    assert len(changes) == 1, changes
    assert changes[0].where.endswith(where)
    assert (changes[0].what, changes[0].bump) == (what, bump)
    assert changes[0].breaking == (bump is Bump.MAJOR)
    assert required_bump(changes) == bump.value


def test_a_raised_classification_tells_the_stricter_mask_too() -> None:
    changes = diff(OLD, with_column(1, classification=Classification.RESTRICTED))

    assert [str(change) for change in changes] == [
        f"{HERE}.columns[country].classification: internal → restricted",
        f"{HERE}.columns[country].mask: clear → drop",
    ]
    assert all(change.breaking for change in changes)


def test_restricting_an_open_product_to_some_purposes_breaks() -> None:
    changes = diff(replace(OLD, purposes=()), OLD)

    assert changes == (
        Change(What.CHANGED, "purposes", "any", "crew-planning, customer-care", Bump.MAJOR),
    )


def test_breaking_changes_come_first() -> None:
    new = replace(OLD, title="x", roles=(ANALYST,), residency="us")

    assert [change.breaking for change in diff(OLD, new)] == [True, False, False]
    assert required_bump(diff(OLD, new)) == "major"


def test_another_version_with_equal_content_changes_nothing() -> None:
    assert diff(OLD, replace(OLD, version="9.9.9")) == ()
    assert required_bump(()) is None


def test_every_field_of_the_values_is_compared() -> None:
    """A field that is added to a value must not go unnoticed by the diff."""
    contract = {"domain", "product", "version", "contract_id", "status", "title", "owners"}
    column = {"name", "logical_type", "physical_type", "classification", "category", "tags"}
    covered = {
        Contract: contract
        | {"purposes", "roles", "datasets", "server", "residency", "legal_basis"},
        Column: column | {"mask", "subject_key", "required", "description"},
        Dataset: {"name", "file", "columns", "description"},
        Role: {"name", "description", "row_filter"},
        Server: {"path", "format"},
    }
    for value, names in covered.items():
        assert {field.name for field in fields(value)} == names


Row = dict[str, str | None]
TEXTS = st.sampled_from(["a", "b", "c"])
COLUMNS = st.sampled_from(["x", "y"])


def compared(column: str, op: str, value: object) -> dict[str, object]:
    return {"column": column, "op": op, "value": value}


LEAVES = st.one_of(
    st.builds(compared, COLUMNS, st.sampled_from(["eq", "ne", "lt", "ge"]), TEXTS),
    st.builds(compared, COLUMNS, st.just("in"), st.lists(TEXTS, min_size=1, max_size=3)),
    st.builds(compared, COLUMNS, st.just("is_null"), st.booleans()),
)
FILTERS: st.SearchStrategy[dict[str, object]] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda part: {"not": part}, inner),
        st.builds(lambda parts: {"and": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"or": parts}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=5,
)
ROWS: list[Row] = [{"x": x, "y": y} for x in ("a", "b", "c", None) for y in ("a", "b", "c", None)]
TESTS: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: lambda cell, value: bool(cell == value),
    Operator.NE: lambda cell, value: bool(cell != value),
    Operator.LT: lambda cell, value: bool(cell < value),
    Operator.GE: lambda cell, value: bool(cell >= value),
    Operator.IN: lambda cell, value: cell in value,
}


def kept(filter_: Filter, row: Row) -> bool | None:
    """SQL's three-valued answer: true, false, or unknown."""
    match filter_:
        case Comparison(column=column, operator=Operator.IS_NULL, value=value):
            return (row[column] is None) == value
        case Comparison(column=column, operator=operator, value=value):
            cell = row[column]
            return None if cell is None else TESTS[operator](cell, value)
        case Negation(filter=inner):
            answer = kept(inner, row)
            return None if answer is None else not answer
        case Both(filters=parts):
            answers = [kept(part, row) for part in parts]
            return False if False in answers else (None if None in answers else True)
        case Either(filters=parts):
            answers = [kept(part, row) for part in parts]
            return True if True in answers else (None if None in answers else False)


@settings(deadline=None, max_examples=200)
@given(FILTERS, FILTERS)
def test_a_filter_that_is_called_wider_keeps_every_row_that_was_kept(
    before: dict[str, object], after: dict[str, object]
) -> None:
    if not narrows(before, after):
        old, new = parse_filter(before), parse_filter(after)
        assert all(kept(new, row) for row in ROWS if kept(old, row))


@settings(deadline=None)
@given(FILTERS, LEAVES)
def test_one_more_condition_narrows_and_one_more_alternative_does_not(
    filter_: dict[str, object], leaf: dict[str, object]
) -> None:
    assert not narrows(filter_, filter_)
    assert not narrows(filter_, {"or": [leaf, filter_]})
    assert not narrows({"and": [leaf, filter_]}, filter_)
    assert narrows(None, filter_)
    assert not narrows(filter_, None)


def test_more_listed_values_do_not_narrow() -> None:
    one, two = compared("x", "eq", "a"), compared("x", "in", ["b", "a"])

    assert not narrows(one, two)
    assert narrows(two, one)
    assert not narrows(two, compared("x", "is_null", False))
    assert narrows(one, compared("y", "eq", "a"))
