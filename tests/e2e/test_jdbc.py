"""The Flight service as Arrow's JDBC driver, and so DBeaver and the like, see it."""

import os
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

from tests.unit.flight.memory import MemoryReads
from tests.unit.flight.serving import serving, token

ROOT = Path(__file__).parents[2]
VERSION = "18.3.0"
DRIVER = ROOT / ".cache" / "jdbc" / f"flight-sql-jdbc-driver-{VERSION}.jar"
TABLE = pa.table({"id": pa.array(range(1_000), pa.int64()), "carrier": ["AA", "BB"] * 500})
EXPECTED = """\
server Meshwarden true
table airports_of_origin
column id
column carrier
keys false
sum 499500
row 42 AA
row 43 BB
refused Error while executing SQL "DROP TABLE delays": Only one SELECT is served. \
[statement.not_select, receipt refused-1]
"""


def driver() -> Path:
    """The driver's jar, fetched once."""
    if not DRIVER.exists():
        artifact = f"org.apache.arrow:flight-sql-jdbc-driver:{VERSION}"
        target = f"-DoutputDirectory={DRIVER.parent}"
        copy = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", target]
        subprocess.run(copy, check=True, cwd=ROOT, timeout=300)
    return DRIVER


@pytest.mark.skipif(
    not (shutil.which("java") and shutil.which("mvn")) and os.environ.get("CI") != "true",
    reason="java and mvn are not installed here; the JDBC driver needs them",
)
def test_jdbc_driver_lists_reads_and_is_refused() -> None:
    reads = MemoryReads({"delays": TABLE, "airports_of_origin": TABLE.slice(0, 3)})
    with serving(reads) as endpoint:
        tour = subprocess.run(
            [
                "java",
                "--add-opens=java.base/java.nio=ALL-UNNAMED",
                "--class-path",
                str(driver()),
                str(Path(__file__).with_name("JdbcTour.java")),
                str(endpoint.port),
                token("ana"),
            ],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
            timeout=120,
        )
    assert tour.stdout == EXPECTED
    assert [reading.closes for reading in reads.readings] == [[None]] * 3
