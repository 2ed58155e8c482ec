"""What every store promises, whichever database is below. A database is one subclass."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

import control_plane.app  # noqa: F401 - so that the tables of every store are known
from control_plane.agents import acknowledgement_store as acknowledgements
from control_plane.agents import store as agents
from control_plane.agents.rules import Acknowledgement, AgentReport, Session, with_leases
from control_plane.agreements import store as agreements
from control_plane.agreements.store import AgreementRead
from control_plane.audit import store as audit
from control_plane.audit.rules import Receipt
from control_plane.contracts import store as contracts
from control_plane.contracts.rules import Published
from control_plane.database import Database, migrate, migration_config, open_sqlite
from control_plane.notices import Heads
from control_plane.policies import activating
from control_plane.policies import store as policies
from control_plane.policies.activating import Wish
from control_plane.policies.rules import Origin, PolicyRevision
from control_plane.postgres import open_postgres
from control_plane.purposes import store as purposes
from control_plane.purposes.rules import Purpose
from control_plane.replicas import store as replicas
from control_plane.settings import SettingsInvalid
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change, Distributed, Read, Sight, Wanted
from mesh.agreements.values import Agreement, AgreementState
from mesh.contracts.parse import read_contract
from mesh.contracts.values import Classification
from mesh.decisions.policy import Policy
from mesh.evidence.codec import Recorded, encode_event
from mesh.evidence.events import EventType, UsageEvent
from mesh.leases import DEFAULT_LEASES
from tests.unit.agreements.scenes import asked
from tests.unit.control_plane.documents import contract

NOW = datetime(2026, 11, 24, 12, 0, 0, 123_456, tzinfo=UTC)
ALL = Sight(everything=True, domains=frozenset(), actor="")
CHANGE = Change("purpose.added", "user:ana", NOW, "p1", "a purpose", distributed=True)
READ = Read(
    "r1", "read.started", NOW, "bookings", "b-1", "user:ana", ("bookings.fares",), "plan", "…"
)


def published(document: bytes, revision: int) -> Published:
    return Published(read_contract(document), document, b"d", "user:olga", NOW, revision)


def _is_the_models(
    item: object, name: str | None, kind: str, reflected: bool, compared: object
) -> bool:
    """Indexes and unique constraints are declared by the migrations alone."""
    return not (reflected and compared is None and kind in ("index", "unique_constraint"))


class StoreContract:
    """The promises; a subclass says how a database is made."""

    @pytest.fixture
    def engine(self) -> Iterator[Engine]:
        """An engine on an empty database."""
        raise NotImplementedError

    @pytest.fixture
    def heads(self) -> list[Heads]:
        return []

    @pytest.fixture
    def database(self, engine: Engine, heads: list[Heads]) -> Database:
        migrate(engine)
        return Database(engine, heads.append)

    def test_migrations_lead_to_the_tables_that_the_stores_use(self, engine: Engine) -> None:
        migrate(engine)
        with engine.connect() as connection:
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "include_object": _is_the_models}
            )
            assert compare_metadata(context, SQLModel.metadata) == []
        found = inspect(engine)
        for table in SQLModel.metadata.sorted_tables:
            key = found.get_pk_constraint(table.name)["constrained_columns"]
            assert key == [column.name for column in table.primary_key], table.name

    def test_migrations_go_down_and_up_again_and_again_at_start(self, engine: Engine) -> None:
        migrate(engine)
        migrate(engine)
        config = migration_config()
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.downgrade(config, "base")
            connection.commit()
        assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
        migrate(engine)
        assert "counter" in inspect(engine).get_table_names()

    def test_a_database_of_a_newer_program_is_refused(self, engine: Engine) -> None:
        migrate(engine)
        with engine.connect() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            connection.commit()
        with pytest.raises(SettingsInvalid, match="newer"):
            migrate(engine)

    def test_revisions_are_consecutive_and_told_after_the_commit(
        self, database: Database, heads: list[Heads]
    ) -> None:
        for expected in (1, 2):
            with database.writing() as tx:
                assert timeline.record_change(tx, CHANGE) == expected
                assert len(heads) == expected - 1
        assert heads == [Heads(1, 1), Heads(2, 2)]
        with database.reading() as tx:
            assert timeline.heads(tx) == Heads(2, 2)

    def test_a_body_that_raises_leaves_nothing(
        self, database: Database, heads: list[Heads]
    ) -> None:
        with pytest.raises(RuntimeError), database.writing() as tx:
            timeline.record_change(tx, CHANGE)
            purposes.add(tx, Purpose("p1", "t", "user:ana", NOW, 1))
            raise RuntimeError
        with database.reading() as tx:
            assert timeline.heads(tx) == Heads(0, 0)
            assert purposes.ids(tx) == frozenset()
        assert heads == []

    def test_a_scrub_that_failed_or_was_asked_for_meanwhile_is_done_again(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scrubbed = database._scrubbed
        turns: list[int] = []

        def scrub() -> bool:
            turns.append(len(turns))
            if len(turns) == 1:
                raise OSError
            if len(turns) == 2:
                database.scrub_soon()
            return scrubbed()

        monkeypatch.setattr(database, "_scrubbed", scrub)
        database.scrub_soon()
        with pytest.raises(OSError):
            database.scrub()
        for _ in range(4):
            database.scrub()
        assert turns == [0, 1, 2]

    def test_writers_at_the_same_time_get_revisions_in_the_order_of_their_commits(
        self, database: Database, heads: list[Heads]
    ) -> None:
        def write() -> None:
            for _ in range(10):
                with database.writing() as tx:
                    timeline.record_change(tx, CHANGE)

        threads = [Thread(target=write) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(head.revision for head in heads) == list(range(1, 81))

    def test_a_reader_sees_one_state_while_others_write(self, database: Database) -> None:
        with database.reading() as tx:
            assert timeline.heads(tx).revision == 0
            with database.writing() as writer:
                timeline.record_change(writer, CHANGE)
            tx.expire_all()
            assert timeline.heads(tx).revision == 0

    def test_what_agents_must_learn_is_of_their_domain_or_of_all(self, database: Database) -> None:
        with database.writing() as tx:
            timeline.record_change(tx, CHANGE)
            timeline.record_change(tx, replace(CHANGE, domain="bookings"))
            timeline.record_change(tx, replace(CHANGE, domain="fleet"))
            timeline.record_change(tx, replace(CHANGE, domain="bookings", distributed=False))
        with database.reading() as tx:
            assert timeline.distributed_revision(tx, "bookings") == 2
            assert timeline.distributed_revision(tx, "fleet") == 3
            assert timeline.distributed_revision(tx, "weather") == 1

    def test_the_timeline_is_paged_newest_first_whatever_arrives_meanwhile(
        self, database: Database
    ) -> None:
        times = [3, 1, 2, 2, 5, 4]
        with database.writing() as tx:
            for minute in times:
                timeline.record_change(tx, replace(CHANGE, time=NOW + timedelta(minutes=minute)))
        with database.reading() as tx:
            whole = timeline.newest(tx, ALL, Wanted(), None, 100)
        expected = sorted(((times[e.id - 1], e.id) for e in whole), reverse=True)
        assert [(times[e.id - 1], e.id) for e in whole] == expected
        before, pages = None, []
        for _ in range(3):
            with database.reading() as tx:
                page = timeline.newest(tx, ALL, Wanted(), before, 2)
            pages += page
            before = page[-1].id
            with database.writing() as tx:
                timeline.record_change(tx, replace(CHANGE, time=NOW + timedelta(days=1)))
        assert pages == whole

    def test_a_read_is_one_entry_that_moves_on(self, database: Database) -> None:
        with database.writing() as tx:
            timeline.record_reads(tx, [READ])
            timeline.record_change(tx, CHANGE)
        with database.writing() as tx:
            done = replace(READ, action="read.completed", rows=7, actor="", products=(), purpose="")
            timeline.record_reads(tx, [done])
        with database.reading() as tx:
            (entry,) = timeline.newest(tx, ALL, Wanted(kind="read"), None, 10)
            arrived = timeline.arrived(tx, ALL, 1, 10)
        assert (entry.action, entry.rows) == ("read.completed", 7)
        assert (entry.actor, entry.product, entry.purpose) == ("user:ana", "bookings.fares", "plan")
        assert [(e.kind, e.position) for e in arrived] == [("change", 2), ("read", 3)]

    def test_the_timeline_is_selected_by_kind_actor_product_and_time(
        self, database: Database
    ) -> None:
        with database.writing() as tx:
            timeline.record_change(tx, replace(CHANGE, product="bookings.fares"))
            two = replace(READ, products=("bookings.a", "bookings.fares"))
            none = replace(READ, receipt="r2", actor="user:bob", products=())
            timeline.record_reads(tx, [two, none])
            timeline.record_reads(tx, [])

        def selected(wanted: Wanted) -> list[int]:
            with database.reading() as tx:
                return [entry.id for entry in timeline.newest(tx, ALL, wanted, None, 10)]

        assert selected(Wanted(kind="change")) == [1]
        assert selected(Wanted(product="bookings.fares")) == [2, 1]
        assert selected(Wanted(product="bookings.a")) == [2]
        assert selected(Wanted(actor="user:bob")) == [3]
        assert selected(Wanted(since=NOW + timedelta(microseconds=1))) == []
        assert selected(Wanted(since=NOW)) == [3, 2, 1]

    def test_sight_limits_the_timeline(self, database: Database) -> None:
        with database.writing() as tx:
            timeline.record_change(tx, CHANGE)
            timeline.record_reads(tx, [replace(READ, actor="user:bob")])
            timeline.record_reads(tx, [replace(READ, receipt="r2", domain="fleet")])

        def seen(domains: set[str], actor: str) -> list[int]:
            sight = Sight(False, frozenset(domains), actor)
            with database.reading() as tx:
                listed = [e.id for e in timeline.newest(tx, sight, Wanted(), None, 10)]
                assert sorted(e.id for e in timeline.arrived(tx, sight, 0, 10)) == sorted(listed)
            return listed

        assert seen(set(), "user:eve") == []
        assert seen({"bookings"}, "user:eve") == [2]
        assert seen(set(), "user:ana") == [3, 1]
        assert seen({"bookings", "fleet"}, "user:eve") == [3, 2]

    def test_purposes_are_stored_and_paged(self, database: Database) -> None:
        with database.writing() as tx:
            for name in ("b", "a", "c"):
                purposes.add(tx, Purpose(name, f"title {name}", "user:ana", NOW, 1))
        with database.reading() as tx:
            assert purposes.find(tx, "a") == Purpose("a", "title a", "user:ana", NOW, 1)
            assert purposes.find(tx, "x") is None
            assert [p.id for p in purposes.page(tx, "a", 1)] == ["b"]
            assert [p.id for p in purposes.page(tx, "")] == ["a", "b", "c"]
            assert purposes.ids(tx) == {"a", "b", "c"}

    def test_the_newest_contract_is_the_one_published_last(self, database: Database) -> None:
        first = published(contract(version="2.0.0"), 1)
        later = published(contract(version="1.9.0"), 2)
        other = published(contract("fares"), 3)
        with database.writing() as tx:
            for one in (first, later, other):
                contracts.add(tx, one)
        with database.reading() as tx:
            assert contracts.find(tx, "bookings", "reservations", "") == later
            assert contracts.find(tx, "bookings", "reservations", "2.0.0") == first
            assert contracts.find(tx, "bookings", "reservations", "3") is None
            assert contracts.versions(tx, "bookings", "reservations") == ["1.9.0", "2.0.0"]
            assert list(contracts.products(tx)) == [other, later]
            assert list(contracts.products(tx, "fleet")) == []
            assert list(contracts.products(tx, "", "bookings.fares", 1)) == [later]
            assert contracts.count_products(tx) == 2
        with pytest.raises(IntegrityError), database.writing() as tx:
            contracts.add(tx, replace(first, revision=9))

    def test_layers_are_put_together_for_each_domain_and_stage(self, database: Database) -> None:
        library = Policy({"library/a.rego": "package mesh.a\n"})
        organisation = Policy({"organisation/o.rego": "package mesh.organisation\n"})
        newer = Policy({"organisation/o.rego": "package mesh.organisation\n\nx := 1\n"})
        own = Policy({"domain/d.rego": "package mesh.domain\n", "domain/d_test.rego": "package t"})
        pushed: list[PolicyRevision] = []
        with database.writing() as tx:
            assert policies.in_force(tx, "bookings") is None
            for layer, modules in (
                ("library", library),
                ("organisation", organisation),
                ("domain/bookings", own),
                ("organisation", newer),
            ):
                made = PolicyRevision(
                    0, layer, modules.digest, "user:ana", NOW, Origin("c0ffee", True), 0, {}
                )
                pushed.append(activating.push(tx, made, modules))
            for one in pushed[:3]:
                state = policies.state(tx, one.layer)
                activating.put_in_force(tx, state, Wish(one, "activated", "user:bea"), NOW)
            state = policies.state(tx, "organisation")
            stage = Wish(pushed[3], "staged", "user:bea", ("bookings/b-1", "fleet/f-1"))
            activating.put_in_force(tx, state, stage, NOW)
        with database.reading() as tx:
            everywhere = {**library.modules, **organisation.modules}
            found = {
                (domain, agent): set(found.modules)
                for domain, agent in (("", ""), ("fleet", ""), ("bookings", ""))
                if (found := policies.in_force(tx, domain, agent)) is not None
            }
            assert found == {
                ("", ""): {*everywhere, "declared.rego"},
                ("fleet", ""): {*everywhere, "declared.rego"},
                ("bookings", ""): {*everywhere, "domain/d.rego", "declared.rego"},
            }
            for domain, agent in (("bookings", "bookings/b-1"), ("fleet", "fleet/f-1")):
                staged = policies.in_force(tx, domain, agent)
                assert staged is not None
                assert staged.modules["organisation/o.rego"] == newer.modules["organisation/o.rego"]
                assert ("domain/d.rego" in staged.modules) == (domain == "bookings")
                again = policies.find_assembly(tx, staged.digest)
                assert again is not None and again.policy == staged
            assert policies.staged_agents(tx, "fleet") == {"fleet/f-1"}
            assert policies.find(tx, pushed[2].revision) == pushed[2]
            assert policies.modules(tx, pushed[2].revision) == own
            assert policies.find_assembly(tx, "none") is None
            assert [one.revision for one in policies.page(tx, "organisation", None, 9)] == [
                pushed[3].revision,
                pushed[1].revision,
            ]
            assert [one.kind for one in policies.history(tx, "", 9)] == ["staged"] + 3 * [
                "activated"
            ]

    def test_agreements_are_stored_whole_and_once_for_each_request(
        self, database: Database
    ) -> None:
        agreement = replace(asked(), decided=NOW, decider="user:olga", revision=4)
        with database.writing() as tx:
            agreements.add(tx, agreement, "req-1")
            agreements.add(tx, replace(agreement, id="a2"), "")
            agreements.add(tx, replace(agreement, id="a3"), "")
        with database.reading() as tx:
            assert agreements.find(tx, "a1") == agreement
            assert agreements.find_request(tx, "user:ana", "req-1") == agreement
            assert agreements.find_request(tx, "user:bob", "req-1") is None
        with pytest.raises(IntegrityError), database.writing() as tx:
            agreements.add(tx, replace(agreement, id="a4"), "req-1")

    def test_agreements_are_seen_selected_and_paged(self, database: Database) -> None:
        base = asked()
        active = replace(base, state=AgreementState.ACTIVE, expires=NOW + timedelta(days=1))
        stored = [
            base,
            replace(active, id="a2", consumer="team:ops", requester="user:bob"),
            replace(active, id="a3", domain="fleet", requester="user:bob", consumer="user:bob"),
            replace(active, id="a4", expires=NOW),
        ]
        with database.writing() as tx:
            for agreement in stored:
                agreements.add(tx, agreement, "")

        everything = agreements.View(True, "", (), frozenset(), frozenset())

        def ids(view: agreements.View, wanted: agreements.Wanted, before: str = "") -> list[str]:
            with database.reading() as tx:
                return [a.id for a in agreements.page(tx, view, wanted, NOW, before, 10)]

        def view(**changes: object) -> agreements.View:
            nothing = agreements.View(False, "user:eve", ("user:eve",), frozenset(), frozenset())
            return replace(nothing, **changes)  # type: ignore[arg-type]

        every = agreements.Wanted()
        assert ids(everything, every) == ["a4", "a3", "a2", "a1"]
        assert ids(everything, every, "a3") == ["a2", "a1"]
        assert ids(view(), every) == []
        assert ids(view(requester="user:bob"), every) == ["a3", "a2"]
        assert ids(view(consumers=("user:eve", "team:ops")), every) == ["a2"]
        assert ids(view(domains=frozenset({"fleet"})), every) == ["a3"]
        assert ids(view(products=frozenset({"fleet.reservations"})), every) == ["a3"]
        assert ids(everything, agreements.Wanted(state=AgreementState.ACTIVE)) == ["a3", "a2"]
        assert ids(everything, agreements.Wanted(state=AgreementState.EXPIRED)) == ["a4"]
        assert ids(everything, agreements.Wanted(state=AgreementState.REQUESTED)) == ["a1"]
        assert ids(everything, agreements.Wanted(domain="fleet")) == ["a3"]
        assert ids(everything, agreements.Wanted(product="fares")) == []
        assert ids(everything, agreements.Wanted(consumer="team:ops")) == ["a2"]
        with database.reading() as tx:
            assert [a.id for a in agreements.due(tx, NOW)] == ["a4"]
            assert agreements.count_active(tx, NOW) == 2

    def test_agents_must_know_what_is_active_or_ended_lately(self, database: Database) -> None:
        def ended(name: str, state: AgreementState, days: int) -> Agreement:
            return replace(asked(), id=name, state=state, ended=NOW - timedelta(days=days))

        stored = [
            replace(asked(), id="active", state=AgreementState.ACTIVE),
            asked(agreement_id="requested"),
            ended("revoked", AgreementState.REVOKED, 29),
            ended("expired", AgreementState.EXPIRED, 29),
            ended("old", AgreementState.REVOKED, 31),
            ended("cancelled", AgreementState.CANCELLED, 1),
            replace(asked(), id="foreign", domain="fleet", state=AgreementState.ACTIVE),
        ]
        with database.writing() as tx:
            for agreement in stored:
                agreements.add(tx, agreement, "")
        with database.reading() as tx:
            known = agreements.enforceable(tx, "bookings", NOW - timedelta(days=30))
        assert {a.id for a in known} == {"active", "revoked", "expired"}

    def test_agents_sessions_reports_and_acknowledgements(self, database: Database) -> None:
        name = ("bookings", "bookings-1")
        later = NOW + timedelta(minutes=5)
        with database.writing() as tx:
            agents.add(tx, *name, b"k" * 32, NOW)
            replicas.beat(tx, "r1", NOW, NOW + timedelta(seconds=15))
            agents.open_session(tx, *name, Session("s1", "r1", later), NOW)
            assert agents.keep_session(tx, *name, "s1", later)
            agents.open_session(tx, *name, Session("s2", "r1", later), NOW)
            assert not agents.keep_session(tx, *name, "s1", later)
            agents.close_session(tx, *name, "s1")
        with database.reading() as tx:
            found = agents.find(tx, *name, NOW)
            assert found is not None and found.connected
            assert not agents.page(tx, "", "", later, None)[0].connected
        report = AgentReport("grpc://127.0.0.1:1", "0.1.0", (b"\x00\xff",), 3, "ab")
        with database.writing() as tx:
            agents.refuse(tx, *name, "policy.invalid: no", NOW)
            for seconds, revision in enumerate((7, 5, 7)):
                told = Acknowledgement(revision, b"d", None)
                agents.acknowledge(tx, *name, told, NOW + timedelta(seconds=seconds))
            agents.report(tx, *name, report, NOW + timedelta(seconds=3))
            agents.close_session(tx, *name, "s2")
        with database.reading() as tx:
            found = agents.find(tx, *name, NOW)
            assert found is not None and not found.connected
            assert (found.acknowledged_revision, found.refusal) == (7, "")
            assert found.report == report
            assert found.contact == NOW + timedelta(seconds=3)
            assert acknowledgements.enforced(tx, "bookings", 6) == NOW
            assert acknowledgements.enforced(tx, "bookings", 8) is None
            assert acknowledgements.enforced(tx, "fleet", 1) is None
            assert agents.flight_uris(tx, "bookings") == ["grpc://127.0.0.1:1"]
            assert agents.flight_uris(tx, "fleet") == []

    def test_acknowledgements_tell_who_enforces_what_since_when_and_from_where(
        self, database: Database
    ) -> None:
        told = (
            ("b-1", 5, None, 0), ("b-1", 7, 5, 1), ("b-1", 9, 7, 4), ("b-2", 7, 5, 3),
        )  # fmt: skip
        with database.writing() as tx:
            for agent in ("b-1", "b-2", "b-3"):
                agents.add(tx, "bookings", agent, b"k" * 32, NOW)
            agents.add(tx, "fleet", "f-1", b"k" * 32, NOW)
            for agent, revision, previous, seconds in told:
                one = Acknowledgement(revision, b"d", previous)
                agents.acknowledge(tx, "bookings", agent, one, NOW + timedelta(seconds=seconds))
        second = NOW + timedelta(seconds=1)
        with database.reading() as tx:
            assert acknowledgements.acknowledged(tx, "bookings", 6) == {
                "b-1": second,
                "b-2": NOW + timedelta(seconds=3),
            }
            assert acknowledgements.acknowledged(tx, "bookings", 10) == {}
            steps = acknowledgements.steps(tx, "bookings", 6)
            assert sorted((s.previous, s.revision, s.time - NOW) for s in steps) == [
                (5, 7, timedelta(seconds=3)),
                (7, 9, timedelta(seconds=4)),
            ]
            assert acknowledgements.steps(tx, "fleet", 0) == []
            assert [one.id for one in agents.of_domain(tx, "bookings", NOW)] == [
                "b-1", "b-2", "b-3",
            ]  # fmt: skip

    def test_the_leases_that_an_agent_may_hold_are_kept(self, database: Database) -> None:
        given = with_leases((), 7, DEFAULT_LEASES, NOW)
        with database.writing() as tx:
            agents.add(tx, "bookings", "b-1", b"k" * 32, NOW)
            assert agents.given(tx, "bookings", "b-1") == ()
            agents.note_given(tx, "bookings", "b-1", given)
        with database.reading() as tx:
            assert agents.given(tx, "bookings", "b-1") == given
            (found,) = agents.of_domain(tx, "bookings", NOW)
            assert found.lease_end(7, Classification.PUBLIC) is None
            assert found.lease_end(8, Classification.PUBLIC) == NOW + timedelta(days=7)

    def test_the_latest_distributed_changes_are_found(self, database: Database) -> None:
        with database.writing() as tx:
            for number in range(4):
                change = replace(CHANGE, domain="fleet", product="fleet.planes")
                timeline.record_change(tx, replace(change, distributed=number != 2))
            timeline.record_change(tx, CHANGE)
        with database.reading() as tx:
            assert timeline.distributed(tx, 3) == [
                Distributed(5, NOW, None, ""),
                Distributed(4, NOW, "fleet", "fleet.planes"),
                Distributed(2, NOW, "fleet", "fleet.planes"),
            ]

    def test_the_contracts_since_a_revision_begin_with_the_one_of_then(
        self, database: Database
    ) -> None:
        with database.writing() as tx:
            for revision in (3, 6, 9):
                document = contract(version=f"1.{revision}.0")
                contracts.add(tx, published(document, revision))
        with database.reading() as tx:
            for revision, expected in ((0, [3, 6, 9]), (6, [6, 9]), (8, [6, 9]), (9, [9])):
                found = contracts.since(tx, "bookings", "reservations", revision)
                assert sorted(one.version for one in found) == [f"1.{n}.0" for n in expected]

    def test_sessions_are_their_replicas_and_end_with_them(self, database: Database) -> None:
        later = NOW + timedelta(minutes=5)
        with database.writing() as tx:
            for replica, seconds in (("r1", 15), ("r2", 40)):
                replicas.beat(tx, replica, NOW, NOW + timedelta(seconds=seconds))
            for agent, replica in (("a-1", "r1"), ("a-2", "r2")):
                agents.add(tx, "bookings", agent, b"k" * 32, NOW)
                agents.open_session(
                    tx, "bookings", agent, Session(f"s-{agent}", replica, later), NOW
                )

        def connected(now: datetime) -> list[str]:
            with database.reading() as tx:
                return [a.id for a in agents.page(tx, "", "", now, None) if a.connected]

        assert connected(NOW) == ["a-1", "a-2"]
        assert connected(NOW + timedelta(seconds=15)) == ["a-2"]
        with database.writing() as tx:
            assert agents.sessions_of(tx, "r1") == {"s-a-1"}
            agents.close_sessions_of(tx, "r1")
            assert agents.sessions_of(tx, "r1") == frozenset()
            late = NOW + timedelta(seconds=20)
            replicas.beat(tx, "r2", late, late + timedelta(seconds=15))
            assert not replicas.serves(tx, "r1", NOW)
            replicas.leave(tx, "r2")
        assert connected(NOW) == []

    def test_join_tokens_are_found_by_hash_and_used_by_one_key(self, database: Database) -> None:
        with database.writing() as tx:
            agents.add_join_token(tx, b"h", "bookings", NOW)
        with database.writing() as tx:
            agents.use_join_token(tx, b"h", b"k")
        with database.reading() as tx:
            token = agents.find_join_token(tx, b"h")
            assert token is not None
            assert (token.domain, token.expires, token.used_by) == ("bookings", NOW, b"k")
            assert agents.find_join_token(tx, b"x") is None

    def test_events_are_kept_as_they_came(self, database: Database) -> None:
        event = UsageEvent(
            "e1", "/agents/bookings/b-1", EventType.STARTED, NOW, 1, "e1", {"ü": [1, None, "x"]}
        )
        second = replace(event, id="e2", sequence=2)
        receipt = Receipt("e1", "bookings", "b-1", "started", "user:ana")
        with database.writing() as tx:
            assert audit.stored_sequence(tx, "bookings", "b-1") == 0
            audit.add_events(tx, "bookings", "b-1", [Recorded.of(event), Recorded.of(second)], NOW)
            audit.add_receipts(tx, [receipt])
            audit.add_receipts(tx, [])
            audit.move_receipts(tx, [replace(receipt, state="completed", actor="")])
        with database.reading() as tx:
            assert audit.stored_sequence(tx, "bookings", "b-1") == 2
            assert audit.stored_sequence(tx, "bookings", "b-2") == 0
            assert audit.stored_events(tx, "bookings", "b-1", [1, 3]) == {1: encode_event(event)}
            assert audit.stored_ids(tx, "bookings", "b-1", ["e2", "e3"]) == {"e2": 2}
            assert audit.stored_ids(tx, "bookings", "b-2", ["e2"]) == {}
            assert audit.receipts_of(tx, "e1") == [replace(receipt, state="completed")]
            assert audit.receipts_of(tx, "e2") == []
            assert audit.known_receipts(tx, "bookings", "b-1", ["e1", "e2"]) == {"e1"}
            assert audit.events_of(tx, receipt) == [event, second]
            assert audit.count_receipts(tx) == 1

    def test_receipts_of_one_id_are_as_many_as_their_agents(self, database: Database) -> None:
        names = [("bookings", "b-1"), ("bookings", "b-2"), ("fleet", "b-1")]
        receipts = [Receipt("e1", *name, "started", "user:ana") for name in names]
        reads = [replace(READ, receipt="e1", domain=name[0], agent=name[1]) for name in names]
        with database.writing() as tx:
            audit.add_receipts(tx, receipts)
            timeline.record_reads(tx, reads)
        done = replace(receipts[1], state="completed")
        with database.writing() as tx:
            audit.move_receipts(tx, [done])
            timeline.record_reads(tx, [replace(reads[1], action="read.completed")])
        with database.reading() as tx:
            assert audit.receipts_of(tx, "e1") == [receipts[0], done, receipts[2]]
            assert audit.known_receipts(tx, "fleet", "b-2", ["e1"]) == frozenset()
            actions = [e.action for e in timeline.newest(tx, ALL, Wanted(), None, 10)]
        assert actions == ["read.started", "read.completed", "read.started"]

    def test_an_agreements_reads_are_noted_once_for_each_agents_receipt(
        self, database: Database
    ) -> None:
        early, late = NOW - timedelta(days=1), NOW + timedelta(days=1)
        with database.writing() as tx:
            for name in ("a1", "a2"):
                agreements.add(tx, replace(asked(), id=name), "")
            agreements.add(tx, replace(asked(), id="a3", domain="fleet"), "")
            agreements.note_reads(tx, "bookings", "b-1", [])
            agreements.note_reads(
                tx,
                "bookings",
                "b-1",
                [AgreementRead("a1", "e1", NOW), AgreementRead("a1", "e1", early)],
            )
            agreements.note_reads(tx, "bookings", "b-1", [AgreementRead("a1", "e1", early)])
            agreements.note_reads(tx, "bookings", "b-1", [AgreementRead("a2", "e1", late)])
            agreements.note_reads(tx, "bookings", "b-2", [AgreementRead("a2", "e1", NOW)])
        with database.reading() as tx:
            firsts = [agreements.first_read(tx, name) for name in ("a1", "a2", "a3")]
            many = {"a1", "a2", "a3", *(f"x{n}" for n in range(40_000))}
            assert agreements.own(tx, "bookings", many) == {"a1", "a2"}
        assert firsts == [NOW, NOW, None]

    def test_changes_written_together_have_consecutive_revisions(
        self, database: Database, heads: list[Heads]
    ) -> None:
        with database.writing() as tx:
            assert timeline.record_changes(tx, []) == 0
        assert heads == []
        changes = [CHANGE, replace(CHANGE, product="bookings.fares"), CHANGE]
        with database.writing() as tx:
            assert timeline.record_changes(tx, changes) == 3
        with database.reading() as tx:
            listed = timeline.newest(tx, ALL, Wanted(), None, 10)
            (found,) = timeline.newest(tx, ALL, Wanted(product="bookings.fares"), None, 10)
        assert [(e.revision, e.position) for e in listed] == [(3, 3), (2, 2), (1, 1)]
        assert found.revision == 2
        assert heads == [Heads(3, 3)]


class TestSqlite(StoreContract):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Engine]:
        engine = open_sqlite(tmp_path / "control.db")
        yield engine
        engine.dispose()

    def test_commits_are_durable_and_references_are_checked(self, engine: Engine) -> None:
        with engine.connect() as connection:
            settings = {
                name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            }
        assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


class TestPostgres(StoreContract):
    @pytest.fixture
    def engine(self, empty_postgres: str) -> Iterator[Engine]:
        engine = open_postgres(empty_postgres)
        yield engine
        engine.dispose()

    def test_text_is_ordered_by_its_bytes_in_every_column(self, engine: Engine) -> None:
        migrate(engine)
        with engine.connect() as connection:
            others = connection.execute(
                text(
                    "SELECT table_name, column_name FROM information_schema.columns"
                    " WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
                    " AND data_type IN ('character varying', 'text')"
                    " AND collation_name IS DISTINCT FROM 'C'"
                )
            ).all()
        assert others == []
