"""Settings: what an operator may write, and what is refused at start."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from control_plane.identity.keys import open_key_ring
from control_plane.postgres import connection_parameters, open_postgres
from control_plane.settings import Settings, SettingsInvalid, Tls, read_settings
from control_plane.state import locked_state, replica_id
from mesh.contracts.values import Classification
from mesh.leases import DEFAULT_LEASES, Leases


def test_a_file_is_read_and_options_win(tmp_path: Path) -> None:
    config = tmp_path / "cp.yaml"
    config.write_text("listen: 127.0.0.1:1\nstate: /somewhere\nleases: {restricted: 60}\n")
    settings = read_settings(config, listen="127.0.0.1:0", state=tmp_path)
    restricted = {Classification.RESTRICTED: timedelta(minutes=1)}
    minute = Leases({**DEFAULT_LEASES.lengths, **restricted})
    assert settings == Settings(tmp_path, "127.0.0.1:0", minute)
    assert read_settings(config).listen == "127.0.0.1:1"


def test_opas_are_served_where_the_file_says(tmp_path: Path) -> None:
    config = tmp_path / "cp.yaml"
    config.write_text("state: here\nopa: {listen: 127.0.0.1:7480}\n")
    assert read_settings(config).opa_listen == "127.0.0.1:7480"
    assert read_settings(None, state=tmp_path).opa_listen is None


@pytest.mark.parametrize("section", ["{}", "1", "{listen: 7480}", "{listen: x:1, more: 1}", "[a]"])
def test_a_bad_section_for_opas_is_refused(tmp_path: Path, section: str) -> None:
    config = tmp_path / "cp.yaml"
    config.write_text(f"state: here\nopa: {section}\n")
    with pytest.raises(SettingsInvalid, match="opa"):
        read_settings(config)


def test_opas_of_other_machines_need_tls(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"0\.0\.0\.0:1.*tls\.certificate"):
        Settings(tmp_path, opa_listen="0.0.0.0:1")
    tls = Tls(tmp_path / "a.pem", tmp_path / "b.pem")
    assert Settings(tmp_path, tls=tls, opa_listen="0.0.0.0:1").opa_listen == "0.0.0.0:1"


def test_paths_in_a_file_start_at_its_folder(tmp_path: Path) -> None:
    config = tmp_path / "cp.yaml"
    config.write_text("state: here\ntls: {certificate: a.pem, key: /b.pem}\n")
    settings = read_settings(config)
    assert settings.state == tmp_path / "here"
    assert settings.tls == Tls(tmp_path / "a.pem", Path("/b.pem"))


def test_only_a_state_folder_is_needed(tmp_path: Path) -> None:
    settings = read_settings(None, state=tmp_path)
    assert (settings.listen, settings.leases) == ("127.0.0.1:7400", DEFAULT_LEASES)
    assert [DEFAULT_LEASES[one] for one in Classification] == [
        timedelta(days=7),
        timedelta(hours=24),
        timedelta(hours=1),
        timedelta(minutes=5),
    ]
    with pytest.raises(SettingsInvalid, match="state"):
        read_settings(None)


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:7400", "192.168.1.4:7400", "example.org:7400", "[::]:7400", ":7400"]
)
def test_an_address_that_others_reach_needs_tls(tmp_path: Path, listen: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"tls\.certificate"):
        Settings(tmp_path, listen)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:7400", "[::1]:7400", "127.9.9.9:1"])
def test_loopback_needs_none(tmp_path: Path, listen: str) -> None:
    assert Settings(tmp_path, listen).listen == listen


@pytest.mark.parametrize(
    "listen", ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000"]
)
def test_an_address_is_host_and_port(tmp_path: Path, listen: str) -> None:
    with pytest.raises(SettingsInvalid, match="HOST:PORT"):
        Settings(tmp_path, listen)


@pytest.mark.parametrize(
    "text",
    [
        "listne: 127.0.0.1:0",
        "- a list",
        "state: [a]",
        "state: x\nlisten: 7",
        "state: x\nlease: 300",
        "state: x\nleases: 300",
        "state: x\nleases: {secret: 300}",
        "state: x\nleases: {restricted: soon}",
        "state: x\nleases: {restricted: true}",
        "state: x\nleases: {restricted: .nan}",
        "state: x\nleases: {restricted: 1e300}",
        "state: x\nleases: {restricted: 0.5}",
        "state: x\nleases: {public: 2592001}",
        "state: x\ntls: yes",
        "state: x\ntls: {certificate: a}",
        "state: x\ntls: {certificate: a, key: b, more: c}",
        "a: [",
        "a: b: c",
    ],
)
def test_anything_else_in_the_file_is_refused(tmp_path: Path, text: str) -> None:
    config = tmp_path / "cp.yaml"
    config.write_text(text)
    with pytest.raises(SettingsInvalid):
        read_settings(config)


@given(st.lists(st.integers(1, 2_592_000), min_size=4, max_size=4))
def test_a_stricter_class_has_no_longer_lease(
    tmp_path_factory: pytest.TempPathFactory, seconds: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("leases")
    stated = dict(zip(map(str, Classification), seconds, strict=True))
    config = folder / "cp.yaml"
    config.write_text(yaml.safe_dump({"state": "x", "leases": stated}))
    if seconds == sorted(seconds, reverse=True):
        leases = read_settings(config).leases
        assert [leases[one].total_seconds() for one in Classification] == seconds
        return
    with pytest.raises(SettingsInvalid, match=r"leases\.\w+ is longer than leases\.\w+"):
        read_settings(config)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="can't be read"):
        read_settings(tmp_path / "none.yaml")


def test_a_state_folder_is_its_owners_and_one_processs(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "state"
    with locked_state(state):
        assert state.stat().st_mode & 0o777 == 0o700
        with pytest.raises(SettingsInvalid, match="another control plane"), locked_state(state):
            pass
    with locked_state(state):
        pass


def test_a_state_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "file"
    state.write_text("")
    with pytest.raises(SettingsInvalid, match="can't be used"), locked_state(state):
        pass


def test_a_database_and_keys_are_stated_or_given(tmp_path: Path) -> None:
    config = tmp_path / "cp.yaml"
    config.write_text("state: here\ndatabase: postgresql://mesh@db/mesh\nkeys: keys\n")
    settings = read_settings(config)
    assert (settings.database, settings.keys) == ("postgresql://mesh@db/mesh", tmp_path / "keys")
    given = read_settings(config, database="postgresql:///other", keys=Path("/k"))
    assert (given.database, given.keys) == ("postgresql:///other", Path("/k"))
    assert (read_settings(None, state=tmp_path).database, settings.tls) == (None, None)


@pytest.mark.parametrize("text", ["database: 5", "database: [a]", "keys: 5", "keys: ''"])
def test_what_is_no_database_or_folder_is_refused(tmp_path: Path, text: str) -> None:
    config = tmp_path / "cp.yaml"
    config.write_text(f"state: here\n{text}\n")
    with pytest.raises(SettingsInvalid, match=r"database|keys"):
        read_settings(config)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///hunter2.db",
        "mysql://mesh:hunter2@db/mesh",
        "hunter2",
        "postgresql://mesh:hunter2",
        "postgresql+psycopg://mesh:hunter2@db/mesh",
        "postgresql://mesh:hunter2@db:port/mesh",
        "postgresql://mesh:hunter2@db/mesh?hunter2=1",
        "postgresql://mesh:hunter2%zz@db/mesh",
    ],
)
def test_another_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsInvalid, match="postgresql://USER@HOST:PORT/NAME") as refused:
        open_postgres(url)
    assert "hunter2" not in str(refused.value)


def test_parameters_pass_through_and_the_password_is_shown_nowhere(tmp_path: Path) -> None:
    url = (
        "postgresql://mesh:hunter2@db1:5432,db2:5433/mesh?sslmode=verify-full&sslrootcert=/ca.pem"
        "&target_session_attrs=read-write&connect_timeout=9"
    )
    found = connection_parameters(url)
    assert found["sslmode"] == "verify-full"
    assert (found["host"], found["port"]) == ("db1,db2", "5432,5433")
    assert (found["connect_timeout"], found["application_name"]) == ("9", "meshwarden")
    engine = open_postgres(url)
    settings = Settings(tmp_path, database=url)
    assert "hunter2" not in repr(engine) + repr(engine.url) + repr(settings)


def test_replicas_that_start_together_make_one_set_of_keys(tmp_path: Path) -> None:
    for folder in (tmp_path / str(number) for number in range(5)):
        with ThreadPoolExecutor(8) as pool:
            rings = pool.map(open_key_ring, [folder] * 8)
            assert len({tuple(key.id for key in ring.all) for ring in rings}) == 1
        assert {path.suffix for path in folder.iterdir()} == {".key"}


def test_a_replica_keeps_its_id(tmp_path: Path) -> None:
    assert replica_id(tmp_path, lambda: "a1") == "a1"
    assert replica_id(tmp_path, lambda: "b2") == "a1"
    (tmp_path / "replica.id").write_text("what?")
    with pytest.raises(SettingsInvalid, match=r"replica\.id"):
        replica_id(tmp_path, lambda: "c3")
