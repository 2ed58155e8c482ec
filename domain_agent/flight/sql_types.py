"""The SQL types that columns may have (CommandGetXdbcTypeInfo), as JDBC tools ask for them."""

import pyarrow as pa

_REQUIRED = ("type_name", "data_type", "nullable", "case_sensitive", "searchable")
_FIELDS = {
    "type_name": pa.utf8(),
    "data_type": pa.int32(),
    "column_size": pa.int32(),
    "literal_prefix": pa.utf8(),
    "literal_suffix": pa.utf8(),
    "create_params": pa.list_(pa.field("item", pa.utf8(), nullable=False)),
    "nullable": pa.int32(),
    "case_sensitive": pa.bool_(),
    "searchable": pa.int32(),
    "unsigned_attribute": pa.bool_(),
    "fixed_prec_scale": pa.bool_(),
    "auto_increment": pa.bool_(),
    "local_type_name": pa.utf8(),
    "minimum_scale": pa.int32(),
    "maximum_scale": pa.int32(),
    "sql_data_type": pa.int32(),
    "datetime_subcode": pa.int32(),
    "num_prec_radix": pa.int32(),
    "interval_precision": pa.int32(),
}
SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=name not in (*_REQUIRED, "fixed_prec_scale", "sql_data_type"))
        for name, kind in _FIELDS.items()
    ]
)
_NULLABLE, _SEARCHABLE_FULL = 1, 3
_DATETIME = 9
_QUOTED = frozenset({"VARCHAR", "DATE", "TIME", "TIMESTAMP", "BLOB"})

# name, XdbcDataType, size, radix, XdbcDatetimeSubcode
_TYPES: tuple[tuple[str, int, int, int | None, int | None], ...] = (
    ("BOOLEAN", -7, 1, None, None),
    ("TINYINT", -6, 3, 10, None),
    ("BIGINT", -5, 19, 10, None),
    ("BLOB", -3, 2**31 - 1, None, None),
    ("DECIMAL", 3, 38, 10, None),
    ("INTEGER", 4, 10, 10, None),
    ("SMALLINT", 5, 5, 10, None),
    ("FLOAT", 7, 24, 2, None),
    ("DOUBLE", 8, 53, 2, None),
    ("VARCHAR", 12, 2**31 - 1, None, None),
    ("DATE", 91, 10, None, 1),
    ("TIME", 92, 15, None, 2),
    ("TIMESTAMP", 93, 26, None, 3),
)


def table(data_type: int | None) -> pa.Table:
    """One type, or all in the order of their numbers."""
    rows = [_row(*kind) for kind in _TYPES if data_type in (None, kind[1])]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _row(
    name: str, number: int, size: int, radix: int | None, subcode: int | None
) -> dict[str, object]:
    quote = "'" if name in _QUOTED else None
    return {
        "type_name": name,
        "data_type": number,
        "column_size": size,
        "literal_prefix": quote,
        "literal_suffix": quote,
        "nullable": _NULLABLE,
        "case_sensitive": name == "VARCHAR",
        "searchable": _SEARCHABLE_FULL,
        "unsigned_attribute": False if radix else None,
        "fixed_prec_scale": False,
        "auto_increment": False if radix else None,
        "local_type_name": name,
        "minimum_scale": 0 if radix == 10 else None,
        "maximum_scale": (38 if name == "DECIMAL" else 0) if radix == 10 else None,
        "sql_data_type": _DATETIME if subcode else number,
        "datetime_subcode": subcode,
        "num_prec_radix": radix,
    }
