"""A process of its own that writes changes from several threads: FOLDER-or-URL THREADS CHANGES."""

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from control_plane.database import Database, open_database
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def write(database: Database, writer: str, changes: int) -> None:
    """Commit changes one by one."""
    for number in range(changes):
        change = Change("purpose.added", writer, NOW, f"{writer}-{number}", "a purpose")
        with database.writing() as tx:
            timeline.record_change(tx, change)


def main(where: str, threads: int, changes: int) -> None:
    """Write from several threads until all is committed."""
    url = where if where.startswith("postgresql://") else None
    engine = open_database(Path(where) / "control.db", url)
    database = Database(engine, lambda heads: None)
    with ThreadPoolExecutor(threads) as pool:
        for done in [
            pool.submit(write, database, f"user:w{number}", changes) for number in range(threads)
        ]:
            done.result()
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
