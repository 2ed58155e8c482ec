"""A dataset that policy opens for statistics only, through real processes and ADBC."""

import json
import shutil

import duckdb
import pytest
from adbc_driver_manager import Error

from examples.airline.processes import DATA, ROOT, Mesh
from tests.e2e.town import Town, start_town, wait_until

SIZE = 9_000
FILE = DATA / "bookings" / "passengers.parquet"
LAYER = f"""package mesh.organisation

limits contains {{"group": {SIZE}}} if input.dataset.name == "passengers"
"""
BY_COUNTRY = "SELECT country, count(*) AS n FROM {} GROUP BY country"


@pytest.fixture
def statistics(own_mesh: Mesh) -> Town:
    """A mesh whose control plane ships the library with a layer that limits passengers."""
    library = own_mesh.folder / "policies" / "library"
    shutil.copytree(ROOT / "policies" / "library", library)
    (library / "statistics.rego").write_text(LAYER)
    return start_town(own_mesh, ("bookings",))


def test_readers_get_groups_that_are_large_enough_and_nothing_else(statistics: Town) -> None:
    reader = statistics.reader()
    with duckdb.connect() as raw:
        counted = dict(raw.sql(BY_COUNTRY.format(f"'{FILE}'")).fetchall())
    shown = {country: n for country, n in counted.items() if n >= SIZE}
    assert 0 < len(shown) < len(counted)

    table = reader.read(BY_COUNTRY.format("reservations.passengers"))
    assert dict(zip(*table.to_pydict().values(), strict=True)) == shown

    one = "SELECT count(*) AS n FROM reservations.passengers WHERE country = ?"
    smallest = min(counted, key=lambda country: counted[country])
    assert reader.read(one, [smallest]).num_rows == 0
    assert reader.read(one, [max(shown)])["n"].to_pylist() == [shown[max(shown)]]
    with pytest.raises(Error, match="its value is none"):
        reader.read(one, [5])

    for asked in (
        "SELECT * FROM reservations.passengers",
        "SELECT country, loyalty_tier FROM reservations.passengers LIMIT 1",
        "SELECT sum(CASE WHEN country = 'NL' THEN 1 END) FROM reservations.passengers",
    ):
        refusal = reader.refusal(asked)
        assert "reservations.passengers is open for statistics only" in refusal
        assert f"at least {SIZE} persons" in refusal
    assert reader.read("SELECT fare FROM reservations.bookings LIMIT 3").num_rows == 3

    _receipts_show_the_limit(statistics)


def _receipts_show_the_limit(town: Town) -> None:
    wait_until(
        lambda: (
            {"read.completed", "read.refused"}
            <= {row["action"] for row in town.entries("--kind", "read")}
        ),
        "the evidence arrives",
    )
    entries = town.entries("--kind", "read")
    reads = [str(row["reference"]) for row in entries if row["action"] == "read.completed"]
    refused = next(str(row["reference"]) for row in entries if row["action"] == "read.refused")
    told = [json.loads(town.mesh.mesh(town.ada, "why", id_, "-o", "json").stdout) for id_ in reads]
    limits = [decision["limits"] for receipt in told for decision in receipt["decisions"]]
    assert {"group": SIZE} in limits
    assert all(
        decision["recomputed"]["equal"] for receipt in told for decision in receipt["decisions"]
    )
    shown = town.mesh.mesh(town.ada, "why", refused).stdout
    assert "is open for statistics only" in " ".join(shown.split())
    (line,) = (line for line in shown.splitlines() if line.strip().startswith("limits"))
    assert "group" in line
    assert str(SIZE) in line
