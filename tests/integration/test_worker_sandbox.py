"""What a worker process can't do, even where no gate stops the statement."""

import json
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from domain_agent.enforcement.plan import Plan
from domain_agent.worker.limits import PoolSettings
from domain_agent.worker.pool import WorkerPool
from mesh import errors
from tests.integration.worker_cases import (
    PASSENGERS,
    T,
    contract,
    passengers,
    plan,
    read,
    until,
    written,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def pool(folder: Path) -> Iterator[WorkerPool]:
    with WorkerPool(PoolSettings(roots=(folder,), workers=1)) as started:
        yield started


@pytest.fixture
def governed(pool: WorkerPool, folder: Path) -> Plan:
    passengers(folder)
    return plan(pool, contract(folder))


WRITES = (
    "WITH w AS (COPY (SELECT 1 AS a) TO '{path}') SELECT * FROM w",
    "WITH w AS (COPY (SELECT 1 AS a) TO '{path}' (FORMAT csv)) SELECT 1 FROM {t}",
    "WITH w AS (DELETE FROM {t}) SELECT * FROM w",
    "WITH w AS (INSERT INTO {t} VALUES (1)) SELECT * FROM w",
)


@pytest.mark.parametrize("sql", WRITES)
def test_a_write_that_no_gate_stopped_changes_nothing(
    pool: WorkerPool, folder: Path, sql: str
) -> None:
    path = passengers(folder)
    governed = plan(pool, contract(folder))
    before = path.read_bytes()
    try:
        text = written(pool, sql.format(path=path, t=T))
        running = pool.run(governed, text, None, 5)
        list(running)
    except errors.MeshError as error:
        assert "Permission" not in error.message
    else:
        pytest.fail("a write was taken for a read")
    assert path.read_bytes() == before
    assert sorted(p.name for p in folder.iterdir()) == [path.name]


FOREIGN = (
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM read_text('/proc/self/environ')",
    "SELECT * FROM read_parquet('{folder}/other.parquet')",
    "SELECT * FROM read_csv('https://example.org/x.csv')",
)


@pytest.mark.parametrize("sql", FOREIGN)
def test_other_files_stay_closed_even_without_a_gate(
    pool: WorkerPool, folder: Path, sql: str
) -> None:
    passengers(folder)
    pq.write_table(PASSENGERS, folder / "other.parquet")
    governed = plan(pool, contract(folder))
    with pytest.raises((errors.StatementInvalid, errors.StatementFailed)):
        list(pool.run(governed, written(pool, sql.format(folder=folder)), None, 5))
    (folder / "other.parquet").unlink()


def test_every_session_of_an_instance_is_locked(pool: WorkerPool, governed: Plan) -> None:
    names = (
        "TimeZone",
        "enable_external_access",
        "lock_configuration",
        "python_enable_replacements",
        "autoload_known_extensions",
        "autoinstall_known_extensions",
        "allow_community_extensions",
        "catalog_error_max_schemas",
        "temp_directory",
    )
    columns = ", ".join(f"current_setting('{name}')::VARCHAR AS {name}" for name in names)
    (found,) = read(pool, governed, f"SELECT {columns} FROM {T} LIMIT 1").to_pylist()
    assert list(found.values()) == [
        "UTC",
        "false",
        "true",
        "false",
        "false",
        "false",
        "false",
        "0",
        "",
    ]


CONFINED = """
import json, os, socket, sys, threading
from pathlib import Path
from domain_agent.worker import sandbox
from domain_agent.worker.limits import PoolSettings
source, root = Path(sys.argv[1]), Path(sys.argv[2])
sandbox.limit(PoolSettings(roots=(source.parent,)))
sandbox.confine((source.parent,), root)
import duckdb
outcomes = {}
def attempt(name, act):
    try:
        outcomes[name] = act()
    except BaseException as error:
        outcomes[name] = type(error).__name__
raw = duckdb.connect(config={"threads": 2})
attempt("read", lambda: raw.sql(f"SELECT count(*) FROM '{source}'").fetchall()[0][0])
attempt("copy", lambda: raw.execute(f"COPY (SELECT 1) TO '{source}'"))
attempt("new", lambda: raw.execute(f"COPY (SELECT 1) TO '{source.parent}/new.csv'"))
attempt("attach", lambda: raw.execute(f"ATTACH '{source.parent}/new.db'"))
attempt("open", lambda: source.open("r+b"))
attempt("truncate", lambda: os.truncate(source, 0))
attempt("unlink", lambda: source.unlink())
attempt("rename", lambda: source.rename(source.with_name("moved")))
attempt("mkdir", lambda: (source.parent / "folder").mkdir())
attempt("passwd", lambda: Path("/etc/passwd").read_text()[:4])
attempt("environ", lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes())
attempt("kill", lambda: os.kill(os.getppid(), 15))
server = socket.socket()
attempt("bind", lambda: server.bind(("127.0.0.1", 0)))
attempt("connect", lambda: server.connect(("127.0.0.1", int(sys.argv[3]))))
def in_thread():
    attempt("thread", lambda: source.open("ab"))
thread = threading.Thread(target=in_thread)
thread.start()
thread.join()
print(json.dumps(outcomes), flush=True)
os._exit(0)
"""


def test_the_sandbox_leaves_reading_alone(folder: Path) -> None:
    path = passengers(folder)
    before = path.read_bytes()
    root = Path(__file__).parents[2]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-c", CONFINED, str(path), str(root), str(port)],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    outcomes = json.loads(done.stdout)
    assert outcomes.pop("read") == 6
    allowed = {n: o for n, o in outcomes.items() if o not in ("PermissionError", "IOException")}
    assert allowed == {}
    assert path.read_bytes() == before
    assert sorted(p.name for p in folder.iterdir()) == [path.name]


ORPHAN = """
import os, sys
from pathlib import Path
from domain_agent.worker.limits import PoolSettings
from domain_agent.worker.pool import WorkerPool
pool = WorkerPool(PoolSettings(roots=(Path(sys.argv[1]),), workers=2))
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_agent(folder: Path, end: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(folder)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as agent:
        assert agent.stdout is not None
        assert agent.stdout.readline() == b"ready\n"
        until(lambda: len(_descendants(agent.pid)) == 3)
        workers = _descendants(agent.pid)
        agent.send_signal(end)
        agent.wait()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def _descendants(parent: int) -> set[int]:
    listed = Path(f"/proc/{parent}/task")
    found: set[int] = set()
    for thread in listed.iterdir():
        found |= {int(pid) for pid in (thread / "children").read_text().split()}
    return found


def test_a_pool_that_cannot_confine_its_workers_does_not_start(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.CRITICAL),
        pytest.raises(errors.AgentNotReady, match=r"can't run confined.*nowhere"),
    ):
        WorkerPool(PoolSettings(roots=(folder / "nowhere",), workers=1))
