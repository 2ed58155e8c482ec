"""The corpora, and DuckDB's own parser and writer around the gate."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb

from domain_agent.enforcement.gate import Catalog, CheckedStatement, check, load, precheck

HERE = Path(__file__).parent
CATALOG = Catalog(
    "air",
    {
        "ops": {
            "flights": ("id", "carrier", "day", "delay", "tags", "place"),
            "weather": ("day", "wind"),
        },
        "crm": {"passengers": ("id", "flight", "email"), "orders": ("id", "total")},
        "archive": {"orders": ("id", "total", "note")},
    },
)


def serialize(sql: str) -> Mapping[str, object]:
    """What DuckDB makes of a text."""
    row = duckdb.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    assert row is not None
    return load(row[0])


def text_of(tree: Mapping[str, object]) -> str:
    """The text that DuckDB makes of a tree."""
    document = json.dumps(tree)
    row = duckdb.execute("SELECT json_deserialize_sql(?)", [document]).fetchone()
    assert row is not None
    return str(row[0])


def pass_gate(sql: str, catalog: Catalog = CATALOG) -> CheckedStatement:
    """A text's whole way through the gate."""
    precheck(sql)
    return check(serialize(sql), catalog)


def served() -> list[str]:
    """The statements that must be served."""
    return [line for _, line in _lines("served.txt")]


def refused() -> list[tuple[str, str]]:
    """The reasons and the statements that must be refused with them."""
    return list(_lines("refused.txt"))


def _lines(name: str) -> Iterator[tuple[str, str]]:
    section = ""
    for line in (HERE / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line:
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        yield section, line
