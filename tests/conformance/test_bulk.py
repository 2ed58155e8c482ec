"""Many rows at once: what a database is given is what it has, on every database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from control_plane.agreements.store import AgreementReadRow
from control_plane.audit.store import UsageEventRow
from control_plane.bulk import among, insert_missing_rows, insert_rows, update_rows
from control_plane.database import (
    Database,
    TransactionInterrupted,
    migrate,
    open_sqlite,
)
from control_plane.postgres import open_postgres
from control_plane.timeline.tables import EntryRow

NOW = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
ODD = ("", "ü", "a\tb\\N\n", '","{}', "\U0001f600", "'")


def entry(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "position": number,
        "time": NOW + timedelta(microseconds=number),
        "kind": "read",
        "action": "read.started",
        "actor": "user:ana",
        "domain": None if number % 2 else "bookings",
        "agent": "b-1",
        "product": "",
        "reference": f"r{number}",
        "purpose": "plan",
        "summary": ODD[number % len(ODD)],
        "revision": None if number % 3 else number,
        "distributed": number % 2 == 0,
        "rows": -(2**63) + number,
        "reasons": [*ODD[: number % 4]],
        **fields,
    }


def noted(agreement: str, receipt: str, time: datetime) -> dict[str, Any]:
    name = {"agreement": agreement, "domain": "bookings", "agent": "b-1"}
    return {**name, "receipt": receipt, "time": time}


class BulkContract:
    """The promises; a subclass says how a database is made."""

    @pytest.fixture
    def engine(self) -> Iterator[Engine]:
        """An engine on an empty database."""
        raise NotImplementedError

    @pytest.fixture
    def database(self, engine: Engine) -> Database:
        migrate(engine)
        return Database(engine, lambda _: None)

    def entries(self, database: Database) -> dict[int, dict[str, Any]]:
        with database.reading() as tx:
            return {row.id: row.model_dump() for row in tx.exec(select(EntryRow))}

    def test_rows_come_back_as_they_were_given(self, database: Database) -> None:
        given = [entry(number) for number in range(1, 40)]
        with database.writing() as tx:
            insert_rows(tx, EntryRow, [])
            insert_rows(tx, EntryRow, given[:1])
            insert_rows(tx, EntryRow, given[1:])
        assert self.entries(database) == {row["id"]: row for row in given}

    def test_bytes_come_back_as_they_were_given(self, database: Database) -> None:
        documents = [b"", bytes(range(256)), b"\\x00\n\t" * 9_000]
        rows = [
            {"domain": "d", "agent": "a", "sequence": n, "id": f"{n}", "receipt": "r",
             "document": document, "stored": NOW}
            for n, document in enumerate(documents)
        ]  # fmt: skip
        with database.writing() as tx:
            insert_rows(tx, UsageEventRow, rows)
        with database.reading() as tx:
            query = select(UsageEventRow.document).order_by(col(UsageEventRow.sequence))
            assert list(tx.exec(query)) == documents

    def test_rows_are_changed_by_their_keys_alone(self, database: Database) -> None:
        given = [entry(number) for number in range(1, 6)]
        moved = [
            {
                "id": n,
                "position": 100 + n,
                "summary": f"\\{n}ü",
                "reasons": [*ODD],
                "revision": None,
            }
            for n in (2, 4, 5, 77)
        ]
        with database.writing() as tx:
            insert_rows(tx, EntryRow, given)
            update_rows(tx, EntryRow, ("id",), [])
            update_rows(tx, EntryRow, ("id",), moved)
            update_rows(
                tx,
                EntryRow,
                ("domain", "reference"),
                [
                    {"domain": "bookings", "reference": "r2", "actor": "two"},
                    {"domain": "bookings", "reference": "r3", "actor": "three"},
                ],
            )
        expected = {row["id"]: dict(row) for row in given}
        for change in moved[:3]:
            expected[change["id"]].update(change)
        expected[2]["actor"] = "two"
        assert self.entries(database) == expected

    def test_rows_that_are_there_stay(self, database: Database) -> None:
        later = NOW + timedelta(days=1)
        with database.writing() as tx:
            insert_missing_rows(tx, AgreementReadRow, [])
            insert_missing_rows(tx, AgreementReadRow, [noted("a", "r1", NOW)])
            both = [noted("a", "r1", later), noted("a", "r2", later), noted("b", "r1", later)]
            insert_missing_rows(tx, AgreementReadRow, both)
        with database.reading() as tx:
            rows = {(r.agreement, r.receipt): r.time for r in tx.exec(select(AgreementReadRow))}
        assert rows == {("a", "r1"): NOW, ("a", "r2"): later, ("b", "r1"): later}

    def test_many_texts_are_looked_for_at_once(self, database: Database) -> None:
        with database.writing() as tx:
            insert_rows(tx, EntryRow, [entry(n, reference=text) for n, text in enumerate(ODD)])
            query = select(EntryRow.reference)
            for wanted in (ODD, [], ["x"], [*ODD[1:3], *(f"x{n}" for n in range(2_000))]):
                found = set(tx.exec(query.where(among(tx, col(EntryRow.reference), wanted))))
                assert found == set(ODD) & set(wanted)

    def test_rows_that_the_schema_refuses_leave_nothing_behind(self, database: Database) -> None:
        with pytest.raises(DBAPIError), database.writing() as tx:
            insert_rows(tx, EntryRow, [entry(1), entry(2)])
            insert_rows(tx, EntryRow, [entry(3), entry(1, position=9)])
        assert self.entries(database) == {}
        with database.writing() as tx:
            insert_rows(tx, EntryRow, [entry(1)])
        assert list(self.entries(database)) == [1]


class TestSqlite(BulkContract):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Engine]:
        engine = open_sqlite(tmp_path / "control.db")
        yield engine
        engine.dispose()


class TestPostgres(BulkContract):
    @pytest.fixture
    def engine(self, empty_postgres: str) -> Iterator[Engine]:
        engine = open_postgres(empty_postgres)
        yield engine
        engine.dispose()

    def test_a_nul_is_replaced_as_everywhere(self, database: Database) -> None:
        with database.writing() as tx:
            insert_rows(tx, EntryRow, [entry(1, summary="a\0b", reasons=["c"])])
            update_rows(tx, EntryRow, ("id",), [{"id": 1, "actor": "d\0"}])
        found = self.entries(database)[1]
        assert (found["summary"], found["actor"]) == ("a\ufffdb", "d\ufffd")

    def test_a_connection_that_is_lost_meanwhile_may_be_tried_again(
        self, database: Database, empty_postgres: str
    ) -> None:
        with pytest.raises(TransactionInterrupted), database.writing() as tx:
            end = "SELECT pg_terminate_backend(%s)"
            own = tx.connection().exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            with psycopg.connect(empty_postgres, autocommit=True) as other:
                other.execute(end, (own,))
            insert_rows(tx, EntryRow, [entry(1)])
        with database.writing() as tx:
            insert_rows(tx, EntryRow, [entry(1)])
        assert list(self.entries(database)) == [1]
