"""A process whose threads write, each change on what it has read: WHERE NAME THREADS UPDATES."""

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from control_plane.database import Database, TransactionInterrupted, open_database
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change
from mesh.errors import ControlUnavailable


def write(database: Database, writer: str, updates: int) -> None:
    """Updates one by one: each reads the revision, and says which it has read."""
    for number in range(updates):
        while not _update(database, writer, number):
            pass


def _update(database: Database, writer: str, number: int) -> bool:
    try:
        with database.writing() as tx:
            seen = timeline.heads(tx).revision
            now = datetime.now(UTC)
            timeline.record_change(
                tx, Change("purpose.added", writer, now, f"{writer}-{number}", str(seen))
            )
    except TransactionInterrupted:
        return False
    except ControlUnavailable as error:
        raise AssertionError(f"{writer}-{number}: {error}") from error
    return True


def main(where: str, name: str, threads: int, updates: int) -> None:
    """Write from several threads until all is committed."""
    url = where if where.startswith("postgresql://") else None
    engine = open_database(Path(where) / "control.db", url)
    database = Database(engine, lambda heads: None)
    with ThreadPoolExecutor(threads) as pool:
        names = [f"{name}-{number}" for number in range(threads)]
        for done in [pool.submit(write, database, writer, updates) for writer in names]:
            done.result()
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
