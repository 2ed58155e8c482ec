"""What is refused before anything parses, and how fast."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain_agent.enforcement.gate import confirm, precheck
from mesh.errors import (
    MeshError,
    StatementInvalid,
    StatementNotAllowed,
    StatementTooDeep,
    StatementTooLong,
)
from tests.unit.enforcement.gate.corpus import (
    CATALOG,
    pass_gate,
    refused,
    serialize,
    served,
    text_of,
)


def test_64_kib_pass_and_one_byte_more_does_not() -> None:
    precheck("SELECT '" + "x" * (64 * 1024 - 9) + "'")
    with pytest.raises(StatementTooLong):
        precheck("SELECT '" + "x" * (64 * 1024 - 8) + "'")


def test_length_counts_bytes() -> None:
    with pytest.raises(StatementTooLong):
        precheck("SELECT '" + "é" * 33_000 + "'")


@pytest.mark.parametrize("letter", ["\0", "\x01", "\x08", "\x0b", "\x1b", "\x7f"])
def test_control_character_is_refused(letter: str) -> None:
    with pytest.raises(StatementInvalid):
        precheck(f"SELECT 1{letter}")


@pytest.mark.parametrize("letter", ["\ud800", "\udfff"])
def test_lone_surrogate_is_refused(letter: str) -> None:
    with pytest.raises(StatementInvalid):
        precheck(f"SELECT '{letter}'")


def test_white_space_passes() -> None:
    precheck("SELECT\t1\r\n,\f2\n")


@pytest.mark.parametrize("pair", ["()", "[]", "{}"])
def test_64_brackets_pass_and_one_more_does_not(pair: str) -> None:
    precheck("SELECT " + pair[0] * 64 + "1" + pair[1] * 64)
    with pytest.raises(StatementTooDeep):
        precheck("SELECT " + pair[0] * 65 + "1" + pair[1] * 65)


@pytest.mark.parametrize(
    "quoted",
    [
        "'((((('",
        "'it''s ((((('",
        '"((((("',
        "E'\\'((((('",
        "$$(((((' $$",
        "$tag$((((( $$ $tag$",
        "-- (((((\n",
        "/* ((((( /* ((((( */ ((((( */",
    ],
)
def test_brackets_in_quotes_and_comments_do_not_count(quoted: str) -> None:
    precheck("SELECT " + " ".join([quoted] * 20))


def test_brackets_after_a_quote_count() -> None:
    for quoted in ("''", "'\\'", '"x"', "$$ ' $$", "/* ' */", "-- '\n", "$1 ", "x$a$ "):
        with pytest.raises(StatementTooDeep):
            precheck(f"SELECT {quoted}" + "(" * 65)


def test_too_many_words_are_refused() -> None:
    with pytest.raises(StatementTooLong):
        precheck("SELECT " + ",".join(["1"] * 12_000))


_BOMBS = {
    "300 brackets": ("SELECT " + "(" * 300 + "1" + ")" * 300, StatementTooDeep),
    "300 lists": ("SELECT " + "[" * 300 + "1" + "]" * 300, StatementTooDeep),
    "200 subqueries": (
        "SELECT * FROM " + "(SELECT * FROM " * 200 + "t" + ")" * 200,
        StatementTooDeep,
    ),
    "9,000 ors": ("SELECT 1 WHERE " + " OR ".join(["a"] * 9_000), None),
    "20,000 ors": ("SELECT 1 WHERE " + " OR ".join(["a"] * 20_000), StatementTooLong),
    "1,000 unions": (" UNION ".join(["SELECT 1"] * 1_000), None),
    "1,000 excepts": (" EXCEPT ".join(["SELECT 1"] * 1_000), StatementTooDeep),
    "3,000 excepts": (" EXCEPT ".join(["SELECT 1"] * 3_000), StatementTooDeep),
    "500 nots": ("SELECT " + "NOT " * 500 + "1", StatementTooDeep),
    "5,000 nots": ("SELECT " + "NOT " * 5_000 + "1", StatementTooDeep),
    "500 sums": ("SELECT " + "+".join(["a"] * 500), StatementTooDeep),
    "9,000 sums": ("SELECT " + "+".join(["a"] * 9_000), StatementTooDeep),
    "500 casts": ("SELECT 1" + "::int" * 500, StatementTooDeep),
    "500 members": ("SELECT a" + "[1]" * 500, StatementTooDeep),
    "150 cases": ("SELECT " + "CASE WHEN a THEN " * 150 + "1" + " END" * 150, StatementTooDeep),
    "500 joins": ("SELECT 1 FROM flights" + " JOIN flights USING (id)" * 500, StatementTooDeep),
    "4,000 tables": ("SELECT 1 FROM " + ",".join(["flights"] * 4_000), StatementTooDeep),
    "200 nested struct types": (
        "SELECT 1::" + "STRUCT(x " * 60 + "INT" + ")" * 60,
        StatementNotAllowed,
    ),
    "4,096 grouping sets": (
        "SELECT 1 GROUP BY CUBE (" + ",".join(f"c{n}" for n in range(12)) + ")",
        StatementNotAllowed,
    ),
    "9,000 parameters": ("SELECT " + ",".join(["?"] * 9_000), MeshError),
    "60 KiB of text": ("SELECT '" + "x" * 60_000 + "'", None),
    "60 KiB of digits": ("SELECT " + "9" * 60_000, None),
    "60 KiB of name": ('SELECT "' + "x" * 60_000 + '"', None),
    "an open text of quotes": ("SELECT " + "'" * 60_001, StatementInvalid),
    "an open comment": ("SELECT " + "/*" * 30_000, StatementInvalid),
    "dollars": ("SELECT " + "$a" * 30_000, None),
    "many commons": (
        "WITH " + ",".join(f"c{n} AS (SELECT 1)" for n in range(1_500)) + " SELECT 1",
        None,
    ),
    "a doubling": (
        "WITH c0 AS (SELECT 'x' AS x)"
        + "".join(f", c{n + 1} AS (SELECT x || x AS x FROM c{n})" for n in range(60))
        + " SELECT length(x) FROM c60",
        None,
    ),
}


@pytest.mark.parametrize("name", _BOMBS)
def test_parser_bomb_is_answered_quickly(name: str) -> None:
    sql, refusal = _BOMBS[name]
    start = time.perf_counter()
    if refusal is None:
        pass_gate(sql)
    else:
        with pytest.raises(refusal):
            pass_gate(sql)
    assert time.perf_counter() - start < 3


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_passes_or_is_refused_with_a_reason(sql: str) -> None:
    try:
        pass_gate(sql)
    except MeshError as refusal:
        assert refusal.reason.startswith("statement.")


_DANGEROUS = """
read_csv('x') stats(id) 'x.csv' ; ( ) DELETE FROM COPY TO AS duckdb_tables $1 ? , * query('x')
EXPLAIN DESCRIBE SHOW PIVOT
"""
_WORDS = sorted({word for sql in [_DANGEROUS, *served()] for word in sql.split()})


@settings(deadline=None)
@given(st.lists(st.sampled_from(_WORDS), max_size=25))
def test_any_row_of_words_passes_or_is_refused_with_a_reason(words: list[str]) -> None:
    try:
        pass_gate(" ".join(words))
    except MeshError as refusal:
        assert refusal.reason.startswith("statement.")


_STATEMENTS = [*served(), *(sql for _, sql in refused())]


@settings(deadline=None)
@given(st.sampled_from(_STATEMENTS), st.sampled_from(_STATEMENTS), st.integers(), st.integers())
def test_spliced_statements_are_refused_or_survive_their_rewriting(
    first: str, second: str, cut: int, paste: int
) -> None:
    head, tail = first.split(" "), second.split(" ")
    sql = " ".join([*head[: cut % (len(head) + 1)], *tail[paste % (len(tail) + 1) :]])
    try:
        checked = pass_gate(sql)
    except MeshError as refusal:
        assert refusal.reason.startswith("statement.")
        return
    confirm(checked, serialize(text_of(checked.tree)), CATALOG)


@pytest.mark.parametrize("word", ["ROLLUP", "cube"])
def test_a_grouping_that_the_parser_writes_out_is_short(word: str) -> None:
    columns = ", ".join(f"c{number}" for number in range(600))
    with pytest.raises(StatementTooLong, match="1,000 words"):
        precheck(f"SELECT 1 FROM t GROUP BY {word} ({columns})")
    precheck(f"SELECT 1 FROM t GROUP BY {word} (a, b, c)")
    precheck(f"SELECT {columns} FROM t")
