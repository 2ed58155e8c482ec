"""Evidence tells a statement's shape, and no word that its writer chose."""

import json
import re

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_agent.enforcement.gate import Catalog
from domain_agent.enforcement.gate.functions import ALLOWED, CLOCKS
from mesh.errors import MeshError
from tests.unit.enforcement.gate.corpus import CATALOG, pass_gate, serialize, served, text_of
from tests.unit.enforcement.gate.words import PLACES, quoted

_WORD = re.compile(r"[A-Za-z_]\w*")
_PLACEHOLDER = re.compile(r"a[1-9][0-9]*")
_COLUMNS = {
    column
    for datasets in CATALOG.products.values()
    for columns in datasets.values()
    for column in columns
}
_TYPES = {"blob", "date", "double", "json", "text", "timestamptz"}
_DECLARED = {
    CATALOG.domain,
    "valueslist",
    *CATALOG.products,
    *(dataset for datasets in CATALOG.products.values() for dataset in datasets),
    *_COLUMNS,
}


def _language() -> set[str]:
    """The words of SQL itself."""
    rows = duckdb.execute("SELECT lower(keyword_name) FROM duckdb_keywords()").fetchall()
    return {str(word) for (word,) in rows} | _TYPES | {"columns", "try"}


@pytest.mark.parametrize(
    ("sql", "evidence"),
    [
        ('SELECT "ana@example.org" FROM flights', "SELECT a1 FROM air.ops.flights"),
        ('SELECT 1 AS "ana@example.org"', "SELECT $1 AS a1"),
        (
            "SELECT ana.Carrier FROM flights AS ana WHERE ANA.delay > 5",
            "SELECT a1.carrier FROM air.ops.flights AS a1 WHERE (a1.delay > $1)",
        ),
        (
            "WITH ana AS (FROM flights), bob AS (FROM ana) SELECT bob.* FROM bob, ana",
            "WITH a1 AS (SELECT * FROM air.ops.flights), a2 AS (SELECT * FROM a1) "
            "SELECT a2.* FROM a2 , a1",
        ),
        (
            "SELECT {'ana': id}.ana FROM flights",
            "SELECT (struct_pack(a1 := id)).a1 FROM air.ops.flights",
        ),
        ("SELECT email FROM flights", "SELECT a1 FROM air.ops.flights"),
        ("SELECT EMAIL FROM passengers", "SELECT email FROM air.crm.passengers"),
        ("SELECT delay AS carrier FROM flights", "SELECT delay AS carrier FROM air.ops.flights"),
        ("SELECT CURRENT_DATE, today_", "SELECT current_date, a1"),
        ("SELECT UPPER(carrier) FROM flights", "SELECT upper(carrier) FROM air.ops.flights"),
    ],
)
def test_evidence_has_placeholders_for_names_of_the_readers_own(sql: str, evidence: str) -> None:
    assert text_of(pass_gate(sql).redacted) == evidence


def test_a_placeholder_is_no_declared_name() -> None:
    catalog = Catalog("air", {"ops": {"a1": ("A2", "id")}})
    text = text_of(pass_gate("SELECT id AS ana, a2 FROM a1 AS eve", catalog).redacted)
    assert text == "SELECT id AS a3, A2 FROM air.ops.a1 AS a4"


@pytest.mark.parametrize("sql", served())
def test_evidence_of_a_served_question_has_declared_words_only(sql: str) -> None:
    said = {word.lower() for word in _WORD.findall(text_of(pass_gate(sql).redacted))}
    own = said - ALLOWED - CLOCKS - _DECLARED - _language()
    assert not {word for word in own if not _PLACEHOLDER.fullmatch(word)}


@given(st.sampled_from(PLACES), st.text("zqxj", min_size=8, max_size=12), st.booleans())
def test_no_word_of_the_reader_reaches_evidence(place: str, marker: str, plain: bool) -> None:
    written = marker if plain else quoted(f"{marker} it's, {marker}@example.org")
    try:
        checked = pass_gate(place.replace("{}", written))
    except MeshError:
        return
    assert marker not in json.dumps(checked.redacted).lower()
    assert serialize(text_of(checked.redacted))["error"] is False


@given(st.sampled_from(PLACES), st.permutations(["quux", "ana", "eve"]))
def test_two_names_of_the_readers_own_leave_the_same_evidence(place: str, names: list[str]) -> None:
    def evidence(name: str) -> str:
        try:
            return text_of(pass_gate(place.replace("{}", name)).redacted)
        except MeshError as refusal:
            return refusal.reason

    assert evidence(names[0]) == evidence(names[1])
