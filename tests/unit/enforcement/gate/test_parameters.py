"""Parameters are counted, and literals leave no trace in evidence."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import MeshError
from tests.unit.enforcement.gate.corpus import pass_gate, refused, serialize, served, text_of


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("SELECT 1", 0),
        ("SELECT ?", 1),
        ("SELECT ?, ?", 2),
        ("SELECT $1, $1", 1),
        ("SELECT $2, $1", 2),
        ("SELECT (SELECT $1), $2", 2),
        ("SELECT * FROM flights WHERE id = $1 LIMIT $2 OFFSET $3", 3),
        ("WITH c AS (SELECT $1 AS x) SELECT x FROM c WHERE x = $2", 2),
        ("SELECT " + ",".join(["?"] * 256), 256),
    ],
)
def test_parameters_are_counted(sql: str, count: int) -> None:
    checked = pass_gate(sql)
    assert checked.parameters == count
    assert pass_gate(text_of(checked.tree)).parameters == count


@pytest.mark.parametrize(
    ("sql", "evidence"),
    [
        ("SELECT 'ana', 5, 1.5, x'ab'", "SELECT $1, $2, $3, $4"),
        ("SELECT NULL, true, FALSE", "SELECT NULL, true, false"),
        (
            "SELECT * FROM passengers WHERE email = 'ana@example.org'",
            "SELECT * FROM air.crm.passengers WHERE (email = $1)",
        ),
        (
            "SELECT * FROM passengers WHERE email = $1 OR id IN (7, 8)",
            "SELECT * FROM air.crm.passengers WHERE ((email = $1) OR (id IN ($2, $3)))",
        ),
        (
            "SELECT carrier, count(*) FROM flights GROUP BY 1 ORDER BY 2 LIMIT 10",
            "SELECT carrier, count_star() FROM air.ops.flights GROUP BY 1 ORDER BY 2 LIMIT $1",
        ),
        (
            "SELECT id FROM flights ORDER BY 5 + 5, 12345678",
            "SELECT id FROM air.ops.flights ORDER BY ($1 + $2), $3",
        ),
        ("SELECT 'x'::DECIMAL(10, 2)", "SELECT CAST($1 AS DECIMAL(10, 2))"),
        (
            "SELECT 'x'::VARCHAR(4711), 1::DECIMAL(39, 2)",
            "SELECT CAST($1 AS VARCHAR), CAST($2 AS DECIMAL)",
        ),
        ("SELECT (flights).place FROM flights", "SELECT (flights).place FROM air.ops.flights"),
        (
            "SELECT * FROM (VALUES (1, 'ana')) v(n, t)",
            "SELECT * FROM (SELECT * FROM (VALUES ($1, $2)) AS valueslist) AS a1(a2, a3)",
        ),
        (
            "SELECT id FROM flights GROUP BY 1, 41 ORDER BY -1, 41, 01",
            "SELECT id FROM air.ops.flights GROUP BY 1, $3 ORDER BY $1, $2, 1",
        ),
        (
            "SELECT row_number() OVER (ORDER BY 'ana') FROM flights",
            "SELECT row_number() OVER (ORDER BY $1) FROM air.ops.flights",
        ),
    ],
)
def test_evidence_has_parameters_for_literals(sql: str, evidence: str) -> None:
    assert text_of(pass_gate(sql).redacted) == evidence


@pytest.mark.parametrize("sql", served())
def test_evidence_holds_no_text_literal(sql: str) -> None:
    checked = pass_gate(sql.replace("'x'", "'hunter2'"))
    assert "hunter2" not in json.dumps(checked.redacted)
    literals = json.dumps(checked.redacted).count('"STRING"')
    assert literals == json.dumps(checked.redacted).count('"STRUCT_EXTRACT"')


@settings(deadline=None)
@given(st.integers(0, 10**12).map(str) | st.from_regex(r"[a-z0-9]{8,20}", fullmatch=True))
def test_evidence_of_two_values_is_the_same(value: str) -> None:
    def evidence(text: str) -> str:
        sql = f"SELECT '{text}', id FROM flights WHERE carrier = '{text}' AND tags[1] LIKE '{text}'"
        return text_of(pass_gate(sql).redacted)

    assert evidence(value) == evidence("x")


@pytest.mark.parametrize(("reason", "sql"), [case for case in refused() if "'x'" in case[1]])
def test_refusal_tells_no_text_literal(reason: str, sql: str) -> None:
    with pytest.raises(MeshError) as refusal:
        pass_gate(sql.replace("'x'", "'hunter2'"))
    if reason != "statement.name_unknown":
        assert "hunter2" not in refusal.value.message


def test_named_parameter_says_what_to_write() -> None:
    with pytest.raises(MeshError, match=r"\$1 to \$256"):
        pass_gate("SELECT $name")


def test_parameters_of_a_tree_are_written_anew() -> None:
    statement = json.loads(json.dumps(pass_gate("SELECT $2, (SELECT $1)").tree))["statements"][0]
    assert statement["named_param_map"] == [{"key": "1", "value": 1}, {"key": "2", "value": 2}]
    assert serialize("SELECT 1")["error"] is False
