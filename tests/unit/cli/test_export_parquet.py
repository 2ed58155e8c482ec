"""A Parquet export has one form: what readers other than ours would believe is not in it."""

import random
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.export_files import read_export, write_export
from cli.export_parquet import read_parquet
from cli.parquet_form import without_sizes
from cli.thrift import ThriftOdd, read_struct
from mesh import errors
from mesh.evidence.exports import verify_export
from mesh.evidence.verifying import Finding, Wrong
from tests.unit.cli.terminal import Clock, runner
from tests.unit.evidence.logs import Shape, export, log

LINES = export([log("bookings/bookings-1", 300), log("fleet/fleet-1", 9, seed=8)], Shape(piece=100))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "evidence.parquet"
    write_export(made, iter(LINES), parquet=True)
    return made


def findings(file: Path) -> list[Finding]:
    odd: list[Finding] = []
    verdict = verify_export(read_export(file, odd.append))
    return odd or ([verdict.first] if verdict.first else [])


def test_lines_come_back_as_they_were_and_others_read_them_too(file: Path) -> None:
    odd: list[Finding] = []
    assert list(read_parquet(file, odd.append)) == LINES
    assert odd == []
    assert findings(file) == []
    column = pq.ParquetFile(file).metadata.row_group(0).column(3)
    assert (column.is_stats_set, column.has_column_index, column.has_dictionary_page) == (
        False,
        False,
        False,
    )
    asked = f"SELECT count(*), sum(rows) FROM '{file}' WHERE type LIKE '%started%'"
    with duckdb.connect() as connection:
        assert connection.execute(asked).fetchall() == [(155, 22525)]


def rewritten(file: Path, **options: object) -> None:
    table = pq.read_table(file)
    pq.write_table(table, file, compression="zstd", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"use_dictionary": False, "write_statistics": True},
        {"use_dictionary": False, "write_statistics": True, "write_page_index": True},
        {"use_dictionary": True, "write_statistics": False},
        {"use_dictionary": False, "write_statistics": False},
        {"use_dictionary": False, "write_statistics": False, "data_page_version": "2.0"},
        {"use_dictionary": False, "write_statistics": False, "sorting_columns": ()},
        {"use_dictionary": False, "write_statistics": False, "bloom_filter_options": {"id": {}}},
        {
            "use_dictionary": False,
            "write_statistics": False,
            "column_encoding": {"record": "DELTA_BYTE_ARRAY"},
        },
    ],
)
def test_statistics_indexes_filters_and_other_encodings_are_an_alarm(
    file: Path, options: dict[str, object]
) -> None:
    rewritten(file, **options)
    assert [one.wrong for one in findings(file)] == [Wrong.FORM]
    done = runner(file.parent, {}, Clock())("audit", "verify", str(file))
    assert done.code == 10
    assert "the Parquet file is not as an export makes it" in done.err


def test_what_stands_beside_signed_hashes_is_an_alarm(file: Path, tmp_path: Path) -> None:
    table = pq.read_table(file)
    rows = table.to_pylist()
    at = next(n for n, row in enumerate(rows) if row["leaves"] is not None)
    rows[at]["purpose"], rows[at]["rows"] = "forged", 999_999
    forged = tmp_path / "forged.parquet"

    def lines(columns: Callable[[bytes], dict[str, object]]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cli.export_parquet._row", columns)
            write_export(forged, iter(LINES), parquet=True)

    following = iter(rows)
    lines(lambda _: next(following))
    (found,) = findings(forged)
    assert found.wrong is Wrong.EXTRA
    assert found.message.startswith("purpose, rows stands beside signed hashes")


def test_changed_files_never_fit_but_where_nothing_else_is_read(file: Path, tmp_path: Path) -> None:
    content, rng = file.read_bytes(), random.Random(5)  # noqa: S311 - a seeded series
    changed = tmp_path / "changed.parquet"
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for _ in range(400):
        made = bytearray(content)
        for _ in range(rng.randint(1, 3)):
            made[rng.randrange(rng.choice((0, footer)), len(made))] ^= 1 << rng.randrange(8)
        changed.write_bytes(made)
        odd: list[Finding] = []
        try:
            lines = list(read_export(changed, odd.append))
        except errors.EvidenceInvalid:
            continue
        assert odd or lines == LINES or verify_export(lines).first is not None


@given(st.binary(max_size=300))
def test_any_bytes_are_a_struct_or_are_refused(content: bytes) -> None:
    try:
        _, used = read_struct(content)
    except ThriftOdd:
        return
    assert 0 < used <= len(content)


def test_a_page_that_would_fill_the_memory_is_not_read(file: Path) -> None:
    schema = pq.read_schema(file)
    rows = 64
    columns = [
        pa.array([bytes(4 * 1024 * 1024)] * rows, field.type)
        if field.name == "record"
        else pa.nulls(rows, field.type)
        for field in schema
    ]
    table = pa.Table.from_arrays(columns, schema=schema)
    with pytest.MonkeyPatch.context() as patch, file.open("w+b") as bomb:
        patch.setattr("cli.parquet_form._MOST_BYTES", 2**40)
        pq.write_table(
            table, bomb, compression="zstd", use_dictionary=False, write_statistics=False
        )
        without_sizes(bomb)
    assert file.stat().st_size < 1024 * 1024
    assert [one.wrong for one in findings(file)] == [Wrong.FORM]


@pytest.mark.parametrize("name", ["statement", "time"])
def test_values_that_no_reader_takes_are_no_evidence(file: Path, name: str) -> None:
    table = pq.read_table(file)
    field = table.schema.field(name)
    odd = (
        pa.array([b"\xff"] * len(table)).cast(field.type, safe=False)
        if name == "statement"
        else pa.array([2**62] * len(table)).cast(field.type)
    )
    changed = table.set_column(table.schema.get_field_index(name), field, odd)
    with file.open("w+b") as writing:
        pq.write_table(changed, writing, use_dictionary=False, write_statistics=False)
        without_sizes(writing)
    assert runner(file.parent, {}, Clock())("audit", "verify", str(file)).code in (4, 10)
