"""A dataset that is open for statistics only, and DuckDB around the rule."""

import dataclasses
import json
from collections.abc import Mapping, Sequence

import duckdb

from domain_agent.enforcement.gate import Catalog, DatasetName, check, confirm, load
from domain_agent.enforcement.groups import (
    GroupedDataset,
    GroupRule,
    LimitedStatement,
    limit_groups,
)

SIZE = 5
COLUMNS = {
    "id": "BIGINT",
    "name": "VARCHAR",
    "team": "VARCHAR",
    "age": "INTEGER",
    "pay": "DOUBLE",
    "fee": "DECIMAL(9,2)",
    "note": "VARCHAR",
    "ok": "BOOLEAN",
    "born": "DATE",
    "big": "HUGEINT",
    "wide": "DECIMAL(38,2)",
    "exact": "DECIMAL(38,30)",
    "tags": "VARCHAR[]",
}
# In the catalog, since the contract has it, but not in the view: policy drops it.
DROPPED = "secret"
CATALOG = Catalog(
    "air",
    {
        "crm": {
            "people": (*COLUMNS, DROPPED),
            "pets": ("id", "kind"),
            "teams": ("team", "boss"),
            "bookings": ("carrier", "seat_class", "fare", "month", "origin", "passenger_id"),
        },
    },
)


def grouped(
    columns: Mapping[str, str],
    size: int = SIZE,
    keys: Sequence[str] = ("id",),
    name: str = "people",
) -> GroupedDataset:
    """A dataset under the rule."""
    rule = GroupRule(size, tuple(keys))
    return GroupedDataset(DatasetName("crm", name), rule, tuple(columns.items()))


PEOPLE = grouped(COLUMNS)
PETS = grouped({"id": "BIGINT", "kind": "VARCHAR"}, keys=(), name="pets")


def serialize(sql: str) -> Mapping[str, object]:
    """What DuckDB makes of a text."""
    row = duckdb.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    assert row is not None
    return load(row[0])


def text_of(tree: Mapping[str, object]) -> str:
    """The text that DuckDB makes of a tree."""
    row = duckdb.execute("SELECT json_deserialize_sql(?)", [json.dumps(tree)]).fetchone()
    assert row is not None
    return str(row[0])


def limited(sql: str, *datasets: GroupedDataset) -> LimitedStatement:
    """A statement's whole way: the gate, the rule, and that what runs is what was checked."""
    passed = check(serialize(sql), CATALOG)
    made = limit_groups(passed.tree, CATALOG.domain, datasets or (PEOPLE,))
    again = dataclasses.replace(passed, tree=made.tree)
    confirm(again, serialize(text_of(made.tree)), CATALOG)
    return made


def runs(sql: str, *datasets: GroupedDataset) -> str:
    """The text that runs."""
    return text_of(limited(sql, *datasets).tree)
