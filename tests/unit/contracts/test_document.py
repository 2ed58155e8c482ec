"""YAML to plain values: what YAML 1.2 says, and nothing that a contract has no use for."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.contracts.document import MAX_DEPTH, MAX_DOCUMENT, read_document
from mesh.contracts.problems import position
from mesh.errors import ContractTooLarge


def read(text: str) -> object:
    document = read_document(text.encode())
    assert document.problems == ()
    return document.value


def refusal(raw: bytes | str) -> str:
    raw = raw.encode() if isinstance(raw, str) else raw
    document = read_document(raw)
    assert document.problems
    return "\n".join(map(str, document.problems))


@pytest.mark.parametrize(
    "text",
    [
        *("no", "No", "on", "off", "yes", "y", "N", "012", "-007", "1_000", "0b11", "1:30"),
        *("2013-12-31", "2013-12-31T10:00:00Z", "1.0.0", "v1", "012.5", "<<", "=", "0o8", "0x"),
        *("nulL", "tRUE", "1e", "+", ".", "..", "1.2.3", "0xg", "_"),
    ],
)
def test_what_only_yaml_1_1_takes_for_something_else_is_text(text: str) -> None:
    assert read(f"a: {text}") == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("Null", None),
        ("true", True),
        ("FALSE", False),
        ("0", 0),
        ("-12", -12),
        ("+7", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("9223372036854775807", 2**63 - 1),
        ("1.0", 1.0),
        ("-.5", -0.5),
        ("6.02e23", 6.02e23),
        ("1.", 1.0),
        ("'no'", "no"),
        ('"012"', "012"),
        ('"null"', "null"),
        ("|\n  no\n", "no\n"),
        ("'~'", "~"),
    ],
)
def test_scalars_are_read_by_yaml_1_2(text: str, value: object) -> None:
    read_value = read(f"a: {text}\n")
    assert read_value == {"a": value}
    assert isinstance(read_value, dict)
    assert type(read_value["a"]) is type(value)


@pytest.mark.parametrize(
    "text", [".nan", ".NaN", ".inf", "-.Inf", "1e999", "9" * 30, "-" + "9" * 5_000]
)
def test_numbers_that_json_can_not_hold_are_refused(text: str) -> None:
    assert "quotes" in refusal(f"a: {text}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &x 1\nb: *x", "line 1, column 1: a: an anchor (&x)"),
        ("a: 1\nb: *x", "line 2, column 1: b: an alias (*x)"),
        ("&x a: 1", "an anchor (&x)"),
        ("*x : 1", "a key is text"),
        ("a: !!python/object/apply:os.system [id]", "a tag (tag:yaml.org,2002:python/object"),
        ("a: !!str 1", "a tag (tag:yaml.org,2002:str)"),
        ("a: ! x", "a tag (!)"),
        ("--- !!map\na: 1", "a tag (tag:yaml.org,2002:map)"),
        (
            "a: 1\nb:\n  c: 1\n  c: 2",
            "line 4, column 3: b.c (again 1): a second key of this name, the first is on line 3",
        ),
        ("a: 1\n---\nb: 2", "line 2, column 1: a second document"),
        ("? [a]\n: b", "a key is text"),
        ("? {a: b}\n: b", "a key is text"),
        ("1: a", "line 1, column 1: 1: a key is text; write it in quotes"),
        ("null: a", "a key is text; write it in quotes"),
        ("", "the document is empty"),
        ("# only a comment", "the document is empty"),
        ("- a", "a contract is a mapping; found a list"),
        ("text", "a contract is a mapping; found `text`"),
        ("a: b: c", "line 1, column 5: is not YAML: mapping values are not allowed"),
        ("a: [1, 2", "is not YAML"),
        ("a:\n\t- b", "is not YAML"),
        ('a: "\\0"', "a control character"),
        ('a: "\\e[31m"', "a control character"),
        ('"a\\u0007": b', "a control character"),
        ('a: "\\ud800"', "is not YAML"),
        ("a: \x01", "is not YAML"),
        ("%YAML 3.0\n---\na: b", "is not YAML"),
    ],
)
def test_what_a_contract_has_no_use_for_is_refused(text: str, words: str) -> None:
    assert words in refusal(text)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"a: b\nc: \xff\xfe", "line 2, column 4: is not UTF-8"),
        ("a: b".encode("utf-16"), "is not UTF-8"),
        ("a: b".encode("utf-16-le"), "line 1, column 2: a NUL character"),
        (b"a: b\n\0", "line 2, column 1: a NUL character"),
        (b"\xed\xa0\x80", "is not UTF-8"),
    ],
)
def test_what_is_not_utf_8_text_is_refused(raw: bytes, words: str) -> None:
    assert words in refusal(raw)


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert read("\ufeffa: b") == {"a": "b"}


def test_every_problem_is_reported_at_once() -> None:
    assert refusal("a: &x 1\na: 2\nb: !t 3\nc: .nan").count("\n") == 3


def test_an_entry_is_placed_at_its_key_and_a_list_item_at_itself() -> None:
    document = read_document(b"a:\n  - b:\n      c: [x, y]\n")

    assert position(document.place, ("a",)) == (1, 1)
    assert position(document.place, ("a", 0)) == (2, 5)
    assert position(document.place, ("a", 0, "b", "c")) == (3, 7)
    assert position(document.place, ("a", 0, "b", "c", 1)) == (3, 14)
    assert position(document.place, ("a", 0, "b", "missing", 3)) == (2, 5)


NESTED = {
    "flow lists": "[" * 100_000 + "]" * 100_000,
    "flow mappings": "{a: " * 50_000,
    "block lists": "- " * 100_000 + "a",
    "keys": "? " * 100_000,
    "indentation": "".join(" " * depth + "a:\n" for depth in range(700)),
}


@pytest.mark.parametrize("text", NESTED.values(), ids=NESTED)
def test_deep_nesting_is_refused_at_once(text: str) -> None:
    began = time.process_time()

    assert "nest" in refusal(text) or "a key is text" in refusal(text)
    assert time.process_time() - began < 0.1


def test_nesting_to_the_limit_is_read() -> None:
    text = "a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert isinstance(read(text), dict)
    assert f"deeper than {MAX_DEPTH} levels" in refusal("a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH)


def test_more_values_than_any_contract_has_are_refused() -> None:
    assert "more than 50,000 values" in refusal("a: [" + "1," * 50_001 + "]")


def test_an_alias_bomb_is_refused_at_its_first_anchor() -> None:
    lines = ['a: &a ["lol","lol","lol","lol","lol","lol","lol","lol","lol"]']
    for one, other in zip("bcdefghi", "abcdefgh", strict=True):
        lines.append(f"{one}: &{one} [{','.join([f'*{other}'] * 9)}]")
    began = time.process_time()

    assert "line 1, column 1: a: an anchor" in refusal("\n".join(lines))
    assert time.process_time() - began < 0.1


def test_a_document_above_the_limit_is_refused_without_being_read() -> None:
    raw = b"a: " + b"x" * 50_000_000
    began = time.process_time()

    with pytest.raises(ContractTooLarge, match="at most 524,288"):
        read_document(raw)
    assert time.process_time() - began < 0.01


def test_a_document_at_the_limit_is_read() -> None:
    assert read_document(b"a: " + b"x" * (MAX_DOCUMENT - 3)).problems == ()
    with pytest.raises(ContractTooLarge):
        read_document(b"a: " + b"x" * (MAX_DOCUMENT - 2))


PIECES = st.sampled_from(
    [
        *"-?:,[]{}#&*!|>'\"%@`~ \n\t",
        "a",
        "b: ",
        "- ",
        "---\n",
        "...\n",
        "&a ",
        "*a",
        "!!str ",
        "é",
        "\\",
        "1",
    ]
)


@settings(deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200), st.lists(PIECES, max_size=60).map(lambda p: "".join(p).encode())
    )
)
def test_any_bytes_give_a_value_or_problems(raw: bytes) -> None:
    document = read_document(raw)

    assert document.problems or isinstance(document.value, dict)
    for problem in document.problems:
        assert 1 <= problem.line <= len(raw) + 1
        assert problem.column >= 1
