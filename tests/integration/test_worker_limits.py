"""What a worker survives and what it can't do: deaths, bombs, deadlines, drift, writes."""

import logging
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from domain_agent.enforcement.plan import Plan
from domain_agent.worker.limits import PoolSettings
from domain_agent.worker.pool import WorkerPool
from mesh import errors
from tests.integration.worker_cases import (
    PASSENGERS,
    SELECT_ALL,
    T,
    contract,
    passengers,
    plan,
    read,
    start,
    until,
    written,
)

ENDLESS = f"SELECT count(*) AS n FROM {T} a, range(10000000) b, range(10000000) c"
STREAM = f"SELECT a.*, b.range AS n FROM {T} a, range(100000000) b"
BOMB = "SELECT " + "replace(" * 6 + "'aaaaaaaaaa'" + ", 'a', 'aaaaaaaaaaaaaaaaaaaa')" * 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def settings(folder: Path) -> PoolSettings:
    return PoolSettings(
        roots=(folder,), workers=1, wait_seconds=10.0, memory_mib=512, address_space_mib=2048
    )


@pytest.fixture(scope="module")
def pool(settings: PoolSettings) -> Iterator[WorkerPool]:
    with WorkerPool(settings) as started:
        yield started


@pytest.fixture
def governed(pool: WorkerPool, folder: Path) -> Plan:
    passengers(folder)
    return plan(pool, contract(folder))


def children() -> set[int]:
    """The worker processes of this one."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = re.search(r"^PPid:\s(\d+)", (entry / "status").read_text(), re.MULTILINE)
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if parent and int(parent[1]) == os.getpid() and b"worker.process" in command:
                found.add(int(entry.name))
    return found


def test_a_killed_worker_fails_its_statement_and_is_replaced(
    pool: WorkerPool, governed: Plan
) -> None:
    running = start(pool, governed, STREAM)
    batches = iter(running)
    next(batches)
    for child in children():
        os.kill(child, signal.SIGKILL)
    with pytest.raises(errors.StatementWorkerLost):
        list(batches)
    with pytest.raises(errors.StatementWorkerLost):
        list(running)
    running.close()
    until(lambda: _parses(pool))
    assert read(pool, governed).num_rows == 6


def _parses(pool: WorkerPool) -> bool:
    try:
        pool.parse("SELECT 1")
    except errors.StatementWorkerLost:
        return False
    return True


def test_a_statement_past_its_deadline_is_killed(pool: WorkerPool, governed: Plan) -> None:
    began = time.monotonic()
    running = start(pool, governed, ENDLESS, seconds=0.5)
    with pytest.raises(errors.StatementTimedOut, match=r"0\.5 s"):
        list(running)
    running.close()
    assert time.monotonic() - began < 3
    assert read(pool, governed).num_rows == 6


def test_the_deadline_also_ends_a_statement_that_nobody_reads(
    pool: WorkerPool, governed: Plan
) -> None:
    before = children()
    running = start(pool, governed, STREAM, seconds=0.3)
    assert read(pool, governed).num_rows == 6  # the only worker's successor
    assert children() != before
    with pytest.raises(errors.StatementTimedOut):
        list(running)
    running.close()


@pytest.mark.parametrize("sql", [ENDLESS, STREAM])
def test_closing_interrupts_and_keeps_the_worker(
    pool: WorkerPool, governed: Plan, sql: str
) -> None:
    before = children()
    running = start(pool, governed, sql)
    running.close()
    running.close()
    assert list(running) == []
    assert read(pool, governed).num_rows == 6
    assert children() == before


def test_closing_ends_a_wait_in_another_thread(pool: WorkerPool, governed: Plan) -> None:
    running = start(pool, governed, ENDLESS)
    ended = threading.Event()

    def wait() -> None:
        assert list(running) == []
        ended.set()

    reader = threading.Thread(target=wait)
    reader.start()
    running.close()
    assert ended.wait(5)
    reader.join()
    assert read(pool, governed).num_rows == 6


def test_a_worker_that_ignores_the_interrupt_is_killed(pool: WorkerPool, governed: Plan) -> None:
    running = start(pool, governed, STREAM)
    before = children()
    for child in before:
        os.kill(child, signal.SIGSTOP)
    began = time.monotonic()
    running.close()
    assert 0.9 < time.monotonic() - began < 5
    for child in before & children():
        os.kill(child, signal.SIGCONT)
    assert read(pool, governed).num_rows == 6


@pytest.mark.parametrize(
    "sql",
    [
        f"{BOMB} AS x FROM {T}",
        f"SELECT repeat('x', 1000000000) || id::VARCHAR AS x FROM {T}",
        f"SELECT list(a.range) AS x FROM range(300000000) a, {T} b",
    ],
    ids=["replace", "repeat", "list"],
)
def test_a_memory_bomb_is_refused_and_the_pool_goes_on(
    pool: WorkerPool, governed: Plan, sql: str
) -> None:
    running = start(pool, governed, sql)
    with pytest.raises((errors.StatementOutOfMemory, errors.StatementWorkerLost)):
        list(running)
    running.close()
    assert read(pool, governed).num_rows == 6


def test_a_changed_source_is_compared_again(pool: WorkerPool, folder: Path) -> None:
    passengers(folder)
    governed = plan(pool, contract(folder))
    assert read(pool, governed).num_rows == 6
    extra = PASSENGERS.append_column("leak", pa.array(["x"] * 6))
    changed = PASSENGERS.set_column(3, "age", pa.array(["x"] * 6))
    renamed = PASSENGERS.rename_columns(["id", "email", "country", "AGE", "passport"])
    for table in (extra, changed, renamed, PASSENGERS.drop_columns(["age"])):
        passengers(folder, table)
        with pytest.raises(errors.SourceDrift):
            start(pool, governed)
        with pytest.raises(errors.SourceDrift):
            pool.describe(governed, written(pool, SELECT_ALL))
    reordered = PASSENGERS.select(["passport", "age", "country", "email", "id"])
    passengers(folder, reordered)
    assert read(pool, governed).sort_by("id").column("age").to_pylist() == [
        31, 44, None, 17, 62, 999_983,
    ]  # fmt: skip


def test_a_source_that_is_gone_or_no_parquet_refuses(pool: WorkerPool, folder: Path) -> None:
    path = passengers(folder)
    governed = plan(pool, contract(folder))
    path.write_bytes(b"no parquet")
    with pytest.raises(errors.SourceDrift):
        start(pool, governed)
    with pytest.raises(errors.SourceDrift):
        plan(pool, contract(folder))
    path.unlink()
    with pytest.raises(errors.SourceMissing):
        start(pool, governed)
    with pytest.raises(errors.SourceMissing):
        plan(pool, contract(folder))


def test_more_waiting_statements_than_allowed_are_refused(folder: Path) -> None:
    passengers(folder)
    settings = PoolSettings(roots=(folder,), workers=1, wait_seconds=0.2, waiting=1)
    with WorkerPool(settings) as pool:
        governed = plan(pool, contract(folder))
        running = start(pool, governed, STREAM)
        began = time.monotonic()
        with pytest.raises(errors.AgentOverloaded):
            start(pool, governed)
        assert time.monotonic() - began < 2
        assert pool.parse("SELECT 1")["error"] is False
        running.close()
        assert read(pool, governed).num_rows == 6


def test_renewal_replaces_every_process_that_knew_a_plan(pool: WorkerPool, governed: Plan) -> None:
    assert read(pool, governed).num_rows == 6
    before = children()
    running = start(pool, governed, STREAM)
    pool.renew()
    next(iter(running))
    running.close()
    assert read(pool, governed).num_rows == 6
    assert len(before - children()) == 1
    before = children()
    pool.renew()
    assert read(pool, governed).num_rows == 6
    assert len(before - children()) == 1


def test_a_closed_pool_leaves_no_process(folder: Path, settings: PoolSettings) -> None:
    before = children()
    with WorkerPool(settings) as pool:
        assert children() - before
        started = start(pool, plan(pool, contract(passengers(folder).parent)), STREAM)
    with pytest.raises(errors.StatementWorkerLost):
        list(started)
    assert children() == before


def test_what_failed_is_in_the_log_and_nowhere_else(
    pool: WorkerPool, governed: Plan, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(errors.StatementFailed) as failed:
        list(start(pool, governed, f"SELECT email::INTEGER AS x FROM {T}"))
    assert "raw.example" in caplog.text
    assert "raw.example" not in str(failed.value.metadata) + failed.value.message


def test_a_failure_after_the_first_rows_keeps_the_worker(pool: WorkerPool, governed: Plan) -> None:
    before = children()
    text = "CASE WHEN n = 900000 THEN email ELSE '1' END"
    late = f"SELECT {text}::INTEGER AS x FROM {T}, range(1000000) r(n)"
    running = start(pool, governed, late)
    batches = iter(running)
    assert next(batches).rows
    with pytest.raises(errors.StatementFailed):
        list(batches)
    assert read(pool, governed).num_rows == 6
    assert children() == before


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        (f"SELECT nope FROM {T}", "no column nope"),
        (f"SELECT t.nope FROM {T} t", "no column"),
        (f"SELECT x.id FROM {T}", "no relation or alias x"),
        (f"SELECT id FROM {T} a, {T} b", "column id is ambiguous"),
        (f"SELECT id, count(*) FROM {T}", "column id must appear in GROUP BY"),
        (f"SELECT abs(email) FROM {T}", "no function matches abs"),
        (f"SELECT id FROM {T} UNION SELECT id, age FROM {T}", "different numbers of columns"),
        ("SELEC 1", "syntax error at or near SELEC, at character 1"),
        ("SELECT 1 FROM (", "syntax error, at character 15"),
        ("SELECT 'ana", "a string literal has no end"),
        ("SELECT", "lists no column"),
    ],
)
def test_a_statement_that_does_not_bind_says_what_is_wrong(
    pool: WorkerPool, governed: Plan, sql: str, says: str
) -> None:
    with pytest.raises(errors.StatementInvalid, match=says):
        start(pool, governed, sql)


@pytest.mark.parametrize("sql", ["INSERT INTO t VALUES (1)", "DROP TABLE t", "SET threads = 1", ""])
def test_what_is_no_select_is_none(pool: WorkerPool, sql: str) -> None:
    with pytest.raises((errors.StatementNotSelect, errors.StatementInvalid)):
        pool.parse(sql)


def test_what_is_rewritten_parses_to_the_same_tree(pool: WorkerPool) -> None:
    for sql in ("SELECT 1 AS a", "SELECT 'it''s' AS a UNION ALL (SELECT $1)"):
        tree = pool.parse(sql)
        text, again, public = pool.rewrite(tree, tree)
        assert text == public == written(pool, text)
        assert pool.rewrite(again, again)[0] == text
    broken: dict[str, object] = {"error": False, "statements": [{"node": {"type": "NOPE"}}]}
    with pytest.raises(errors.StatementInvalid):
        pool.rewrite(broken, broken)


@pytest.mark.parametrize(
    "sql", ["SELECT 1 FROM " + ",".join(["t"] * 5_000), "SELECT 1" + " EXCEPT SELECT 1" * 1_000]
)
def test_a_tree_too_deep_to_read_costs_no_worker(pool: WorkerPool, sql: str) -> None:
    with pytest.raises(errors.StatementTooDeep):
        pool.parse(sql)
    assert pool.parse("SELECT 1")
