import base64
import json
import stat
from pathlib import Path

import pytest
import yaml

from mesh import errors
from mesh.v1 import identity_pb2
from tests.unit.cli import samples
from tests.unit.cli.services import ControlPlane
from tests.unit.cli.terminal import NOW, Clock, Run, runner


def config(home: Path) -> Path:
    return home / ".config" / "mesh" / "config.yaml"


def caller(subject: str) -> identity_pb2.GetCallerResponse:
    principal = identity_pb2.Principal(kind="user", subject=subject)
    return identity_pb2.GetCallerResponse(principal=principal)


def bearer(control: ControlPlane) -> str:
    return str(control.asked[-1].metadata["authorization"])


@pytest.fixture
def kept(control: ControlPlane, bare: Run) -> Run:
    """Two contexts for the same server: `first`, which is current, and `second`."""
    control.answers["GetCaller"] = caller("ana")
    for name in ("first", "second"):
        done = bare("context", "set", name, "--server", control.address, "--token", f"token-{name}")
        assert done.code == 0, done.err
    return bare


def test_the_file_is_readable_by_its_owner_alone(kept: Run, tmp_path: Path) -> None:
    file = config(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_was_wider_is_narrowed_and_warned_of(kept: Run, tmp_path: Path) -> None:
    file = config(tmp_path)
    file.chmod(0o644)
    assert "chmod 600" in kept("token", "show").err
    assert kept("context", "use", "second").code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_first_context_is_current_until_another_is_used(
    kept: Run, control: ControlPlane
) -> None:
    kept("token", "show")
    assert bearer(control) == "Bearer token-first"
    kept("context", "use", "second")
    kept("token", "show")
    assert bearer(control) == "Bearer token-second"


def test_flags_win_over_variables_and_variables_over_the_context(
    kept: Run, control: ControlPlane
) -> None:
    variables = {"MESH_TOKEN": "token-variable"}
    kept("token", "show", variables=variables)
    assert bearer(control) == "Bearer token-variable"
    kept("token", "show", "--token", "token-flag", variables=variables)
    assert bearer(control) == "Bearer token-flag"


def test_a_variable_names_the_context_and_a_flag_wins_over_it(
    kept: Run, control: ControlPlane
) -> None:
    kept("token", "show", variables={"MESH_CONTEXT": "second"})
    assert bearer(control) == "Bearer token-second"
    kept("token", "show", "--context", "first", variables={"MESH_CONTEXT": "second"})
    assert bearer(control) == "Bearer token-first"


def test_a_context_named_by_a_flag_wins_over_variables(kept: Run, control: ControlPlane) -> None:
    variables = {"MESH_SERVER": "127.0.0.1:1", "MESH_TOKEN": "token-variable"}
    assert kept("token", "show", "--context", "second", variables=variables).code == 0
    assert bearer(control) == "Bearer token-second"


def test_the_server_variable_wins_over_the_context(kept: Run) -> None:
    done = kept("token", "show", variables={"MESH_SERVER": "127.0.0.1:1"})
    assert done.code == errors.Unavailable.kind.exit_code


def test_mesh_config_names_the_file(bare: Run, tmp_path: Path) -> None:
    file = tmp_path / "elsewhere" / "mesh.yaml"
    done = bare(
        "context", "set", "dev", "--server", "localhost:7443", variables={"MESH_CONFIG": str(file)}
    )
    assert done.code == 0
    assert yaml.safe_load(file.read_text()) == {
        "current": "dev",
        "contexts": {"dev": {"server": "localhost:7443"}},
    }
    assert not config(tmp_path).exists()


def test_xdg_config_home_is_respected(bare: Run, tmp_path: Path) -> None:
    variables = {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    bare("context", "set", "dev", "--server", "localhost:7443", variables=variables)
    assert (tmp_path / "xdg" / "mesh" / "config.yaml").exists()


def test_set_changes_only_what_is_given(bare: Run, tmp_path: Path) -> None:
    bare("context", "set", "dev", "--server", "localhost:7443", "--token", "one")
    bare("context", "set", "dev", "--token", "two")
    kept = yaml.safe_load(config(tmp_path).read_text())
    assert kept["contexts"]["dev"] == {"server": "localhost:7443", "token": "two"}


def test_a_token_comes_from_a_file(bare: Run, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{samples.TOKEN}\n")
    bare("context", "set", "dev", "--server", "localhost:7443", "--token-file", str(file))
    kept = yaml.safe_load(config(tmp_path).read_text())
    assert kept["contexts"]["dev"]["token"] == samples.TOKEN


def test_show_tells_where_each_setting_comes_from_and_never_the_token(
    kept: Run, control: ControlPlane
) -> None:
    done = kept("context", "show", "-o", "json", variables={"MESH_TOKEN": "hidden-value"})
    shown = json.loads(done.out)
    assert shown["server"] == {"value": control.address, "from": "context first"}
    assert shown["token"] == {"value": "set", "from": "MESH_TOKEN"}
    assert "hidden-value" not in done.out


def test_list_says_whose_token_it_is_and_when_it_ends(bare: Run) -> None:
    claims = {"kind": "user", "sub": "ana", "exp": int(NOW.timestamp()) + 7200}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    bare("context", "set", "dev", "--server", "localhost:1", "--token", f"h.{body}.s")
    done = bare("context", "list")
    assert "user:ana, expires in 2 hours (2026-11-25T00:00:00Z)" in done.out
    assert body not in done.out


def test_an_unknown_context_lists_the_known_ones(kept: Run) -> None:
    done = kept("context", "use", "third")
    assert done.code == errors.NotFound.kind.exit_code
    assert "first, second" in done.err


@pytest.mark.parametrize(
    "text", ["- a list", "contexts: {dev: {server: [1]}}", "current: {", "other: 1", "current: 5"]
)
def test_a_broken_file_is_named_and_left_alone(text: str, bare: Run, tmp_path: Path) -> None:
    file = config(tmp_path)
    file.parent.mkdir(parents=True)
    file.write_text(text)
    done = bare("context", "set", "dev", "--server", "localhost:1")
    assert done.code == errors.Invalid.kind.exit_code
    assert str(file) in done.err
    assert file.read_text() == text


@pytest.mark.parametrize(
    "server",
    ["localhost", "localhost:", ":7443", "ftp://localhost:1", "localhost:1/path", "", "a b:x"],
)
def test_what_is_no_address_is_refused(server: str, bare: Run) -> None:
    done = bare("context", "set", "dev", "--server", server)
    assert done.code == errors.USAGE_EXIT_CODE


def test_a_token_never_travels_in_plain_text_to_another_machine(bare: Run) -> None:
    done = bare("product", "list", "--server", "grpc://192.0.2.1:7443", "--token", "t")
    assert done.code == errors.USAGE_EXIT_CODE
    assert "plain text" in done.err


def test_a_token_of_several_lines_is_refused(bare: Run) -> None:
    done = bare("product", "list", "--server", "localhost:1", "--token", "a\nb")
    assert done.code == errors.Unauthenticated.kind.exit_code


def test_contexts_belong_to_one_home(tmp_path: Path) -> None:
    other = runner(tmp_path / "other", {}, Clock())
    assert "No contexts" in other("context", "list").err
