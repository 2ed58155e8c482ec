"""What the agent tells clients about itself and its SQL (CommandGetSqlInfo)."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

_VALUE = pa.dense_union(
    [
        pa.field("string_value", pa.utf8()),
        pa.field("bool_value", pa.bool_()),
        pa.field("bigint_value", pa.int64()),
        pa.field("int32_bitmask", pa.int32()),
        pa.field("string_list", pa.list_(pa.utf8())),
        pa.field("int32_to_int32_list_map", pa.map_(pa.int32(), pa.list_(pa.int32()))),
    ]
)
SCHEMA = pa.schema(
    [
        pa.field("info_name", pa.uint32(), nullable=False),
        pa.field("value", _VALUE, nullable=False),
    ]
)
_BIGINT, _BITMASK = 2, 3
_LIMITS = range(541, 563)  # of lengths and counts; int64, where 0 says that there is none
Info = str | bool | int | list[str] | dict[int, list[int]]

# Numbers are those of arrow.flight.protocol.sql.SqlInfo.
_FACTS: Mapping[int, Info] = {
    **dict.fromkeys(_LIMITS, 0),
    0: "Meshwarden",
    2: pa.__version__,
    3: True,  # read only
    4: True,  # SQL
    5: False,  # Substrait
    8: 0,  # transactions: none
    9: False,  # the CancelQuery action; CancelFlightInfo is served
    10: False,  # bulk ingestion
    11: False,
    500: False,  # DDL of catalogs, schemas, tables
    501: False,
    502: False,
    503: 1,  # identifiers are case-insensitive, quoted ones too
    504: '"',
    505: 1,
    506: True,  # every table that is listed can be selected from, with an agreement
    507: 3,  # nulls last
    508: [],  # keywords and functions are not listed: the gate decides on them
    509: [],
    510: [],
    511: [],
    512: [],
    513: "\\",
    514: "",
    515: True,  # aliases of columns
    516: True,
    517: {},  # conversions
    518: True,
    519: False,
    520: True,
    521: True,
    522: 3,
    523: True,
    524: True,
    525: 3,
    526: 1,
    527: False,
    528: 6,
    529: "product",
    530: "",
    531: "domain",
    532: True,
    533: 0,
    534: 0,
    535: 0,
    536: False,
    537: False,
    538: 15,
    539: True,
    540: 3,
    556: False,
    557: 65_536,  # bytes of a statement
    563: False,
    564: 0,
    565: False,
    566: True,
    567: 2,  # results are read forwards
    572: False,
    573: False,
    574: False,
    575: False,
    576: False,
}


def facts(version: str, handle_seconds: float) -> Mapping[int, Info]:
    """All facts by their number."""
    return {**_FACTS, 1: version, 100: int(handle_seconds * 1000), 101: 0}


def table(known: Mapping[int, Info], asked: Sequence[int]) -> pa.Table:
    """The facts asked for, or all; a number that we know nothing about is left out."""
    chosen = [number for number in dict.fromkeys(asked or sorted(known)) if number in known]
    children: list[list[object]] = [[] for _ in range(_VALUE.num_fields)]
    types, offsets = [], []
    for number in chosen:
        child = _child(number, known[number])
        types.append(child)
        offsets.append(len(children[child]))
        children[child].append(_storable(known[number]))
    value = pa.UnionArray.from_dense(
        pa.array(types, pa.int8()),
        pa.array(offsets, pa.int32()),
        [pa.array(values, _VALUE.field(place).type) for place, values in enumerate(children)],
        [_VALUE.field(place).name for place in range(_VALUE.num_fields)],
    )
    return pa.Table.from_arrays([pa.array(chosen, pa.uint32()), value], schema=SCHEMA)


def _storable(value: Info) -> object:
    return list(value.items()) if isinstance(value, dict) else value


def _child(number: int, value: Info) -> int:
    match value:
        case str():
            return 0
        case bool():
            return 1
        case int():
            return _BIGINT if number in _LIMITS else _BITMASK
        case list():
            return 4
        case dict():
            return 5
