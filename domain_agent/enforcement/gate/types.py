"""The types a value may be cast to."""

from domain_agent.enforcement.gate.fields import Fields, opened, refused
from domain_agent.enforcement.gate.names import lowered
from domain_agent.enforcement.gate.values import Tree
from domain_agent.enforcement.gate.words import words

MAX_DEPTH = 16
_PLAIN = words(
    """
    bool boolean logical tinyint int1 smallint int16 int2 short integer int int32 int4 integral
    signed bigint int64 int8 long hugeint int128 utinyint uint8 usmallint uint16 uinteger uint32
    ubigint uint64 uhugeint uint128 float float4 real double float8 date time timestamp datetime
    timestamp_us timestamp_s timestamp_ms timestamp_ns timestamptz interval blob bytea binary
    varbinary uuid guid json text string
    """
) | {"timestamp with time zone"}
# Quoted type names stay as written in the tree, but DuckDB writes and reads them as keywords.
_KEYWORDS = {
    name: name.upper()
    for name in words("bigint boolean decimal float integer interval map smallint struct time")
    | {"timestamp", "timestamp with time zone", "varchar"}
} | {"char": "VARCHAR", "dec": "DECIMAL", "int": "INTEGER", "numeric": "DECIMAL"}
_KEYWORDS |= {"real": "FLOAT", "row": "STRUCT"}
_SIZED = {"decimal": 2, "dec": 2, "numeric": 2, "varchar": 1, "char": 1, "bpchar": 1, "nvarchar": 1}
_NESTED = {"list": 1, "map": 2, "struct": 256, "row": 256}


def check_type(raw: object, depth: int = 0) -> Tree:
    """A copy of a cast's target, if every part of it is an allowed type."""
    if depth > MAX_DEPTH:
        raise refused("A cast to such a deeply nested type")
    with opened(raw, "A cast to such a type") as fields:
        fields.only("class", "TYPE")
        fields.only("type", "TYPE")
        fields.only("catalog", "")
        fields.only("schema", "")
        name = fields.text("type_name")
        alias = fields.text("alias")
        children = _children(fields, lowered(name), depth)
        _check_path(fields, name)
    name = _KEYWORDS.get(lowered(name), name)
    return {
        "class": "TYPE",
        "type": "TYPE",
        "alias": alias,
        "catalog": "",
        "schema": "",
        "type_name": name,
        "children": children,
        "qualified_name": {"path": [name]},
    }


def _children(fields: Fields, name: str, depth: int) -> list[object]:
    children = fields.items("children")
    if name in _NESTED and 0 < len(children) <= _NESTED[name]:
        return [check_type(child, depth + 1) for child in children]
    if name in _SIZED and len(children) <= _SIZED[name]:
        return [_size(child) for child in children]
    if name in _PLAIN and not children:
        return []
    raise refused("A cast to such a type")


def _size(raw: object) -> Tree:
    with opened(raw, "A cast to a type of such a size") as fields:
        fields.only("class", "CONSTANT")
        fields.only("type", "VALUE_CONSTANT")
        fields.only("alias", "")
        with opened(fields.value("literal"), fields.what) as literal:
            literal.only("kind", "INTEGER")
            text = literal.text("text")
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise refused("A cast to a type of such a size")
    return {
        "class": "CONSTANT",
        "type": "VALUE_CONSTANT",
        "alias": "",
        "literal": {"kind": "INTEGER", "text": text},
    }


def _check_path(fields: Fields, name: str) -> None:
    with opened(fields.value("qualified_name"), fields.what) as qualified:
        qualified.only("path", [name])
