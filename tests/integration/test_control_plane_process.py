"""The control plane as a program: start, stop, settings, TLS, and a hard kill."""

import datetime
import ipaddress
import json
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mesh.v1 import identity_pb2, purposes_pb2, status_pb2, status_pb2_grpc
from tests.unit.control_plane.running import Client

ROOT = Path(__file__).parents[2]


def spawn(*options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "control_plane", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def address_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("listening on 127.0.0.1:"), process.communicate()
    return line.removeprefix("listening on ").strip()


@contextmanager
def started(state: Path, *options: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    process = spawn("--state", str(state), "--listen", "127.0.0.1:0", *options)
    try:
        yield process, address_of(process)
    finally:
        process.kill()
        process.communicate()


def admin(state: Path, address: str) -> Client:
    return Client(address, (state / "admin.token").read_text().strip())


def test_it_says_where_it_listens_and_stops_when_told(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with started(tmp_path / "state") as (process, address):
            client = admin(tmp_path / "state", address)
            assert client.status.GetStatus(status_pb2.GetStatusRequest()).revision >= 1
            client.channel.close()
            process.send_signal(number)
            output, errors = process.communicate(timeout=20)
            assert process.returncode == 0, errors
            assert output == ""
            assert "Traceback" not in errors


def test_it_starts_within_two_seconds(tmp_path: Path) -> None:
    """Of processor time, which other work on the machine does not use up; printed beside it."""
    began = time.monotonic()
    with started(tmp_path / "state") as (process, _):
        wall = time.monotonic() - began
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / 100
    print(f"control plane start: {wall:.2f} s, of which {cpu:.2f} s of processor time")
    assert cpu <= 2


def test_what_was_committed_survives_a_kill(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with started(state) as (process, address):
        client = admin(state, address)
        for number in range(20):
            client.purposes.AddPurpose(
                purposes_pb2.AddPurposeRequest(id=f"p-{number}", title="a purpose")
            )
        before = client.status.GetStatus(status_pb2.GetStatusRequest())
        client.channel.close()
        process.kill()
        process.wait()
    with started(state) as (_, address):
        client = admin(state, address)
        after = client.status.GetStatus(status_pb2.GetStatusRequest())
        listed = client.purposes.ListPurposes(purposes_pb2.ListPurposesRequest())
        client.channel.close()
    assert (after.revision, after.policy_digest) == (before.revision, before.policy_digest)
    assert len(listed.purposes) == 20


def refused(*options: str) -> str:
    process = spawn(*options)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert output == ""
    assert "Traceback" not in errors
    return errors


def test_a_second_one_on_the_same_state_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with started(state):
        assert "another control plane" in refused("--state", str(state), "--listen", "127.0.0.1:0")


def test_an_address_that_others_reach_is_refused_without_tls(tmp_path: Path) -> None:
    errors = refused("--state", str(tmp_path / "state"), "--listen", "0.0.0.0:0")
    assert "tls.certificate" in errors
    assert not (tmp_path / "state").exists()


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with started(tmp_path / "one") as (_, address):
        assert address in refused("--state", str(tmp_path / "two"), "--listen", address)


@pytest.mark.parametrize("text", ["a: [", "unknown: 1", "leases: never"])
def test_a_bad_configuration_is_told(tmp_path: Path, text: str) -> None:
    config = tmp_path / "cp.yaml"
    config.write_text(text)
    assert "mesh-control-plane:" in refused("--config", str(config), "--state", str(tmp_path))


def test_a_damaged_key_is_told(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "snapshot.key").write_text("garbage")
    assert "snapshot.key" in refused("--state", str(state), "--listen", "127.0.0.1:0")


def test_a_damaged_database_is_told(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "control.db").write_bytes(b"no database" * 1_000)
    assert "control.db" in refused("--state", str(state), "--listen", "127.0.0.1:0")


def test_it_serves_tls_with_a_certificate(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    config = tmp_path / "cp.yaml"
    config.write_text(f"tls: {{certificate: {certificate}, key: {key}}}\n")
    with started(tmp_path / "state", "--config", str(config)) as (_, address):
        trust = grpc.ssl_channel_credentials(certificate.read_bytes())
        token = (tmp_path / "state" / "admin.token").read_text().strip()
        with grpc.secure_channel(address, trust) as channel:
            status = status_pb2_grpc.StatusServiceStub(channel).GetStatus(
                status_pb2.GetStatusRequest(),
                metadata=(("authorization", f"Bearer {token}"),),
                timeout=10,
            )
            assert status.revision >= 1
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as plain:
            status_pb2_grpc.StatusServiceStub(channel).GetStatus(
                status_pb2.GetStatusRequest(), timeout=5
            )
        assert plain.value.code() is grpc.StatusCode.UNAVAILABLE


def opa_address_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("serving OPA on 127.0.0.1:"), line
    return line.removeprefix("serving OPA on ").strip()


def test_it_serves_opa_with_the_same_certificate(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    config = tmp_path / "cp.yaml"
    config.write_text(
        f"tls: {{certificate: {certificate}, key: {key}}}\nopa: {{listen: '127.0.0.1:0'}}\n"
    )
    with started(tmp_path / "state", "--config", str(config)) as (process, _):
        host, _, port = opa_address_of(process).rpartition(":")
        trust = ssl.create_default_context(cafile=certificate)
        with closing(HTTPSConnection(host, int(port), timeout=10, context=trust)) as trusted:
            trusted.request("GET", "/opa/bundles/bookings.tar.gz")
            answer = trusted.getresponse()
            assert (answer.status, json.loads(answer.read())["code"]) == (401, "token.missing")
        with (
            closing(HTTPConnection(host, int(port), timeout=10)) as plain,
            pytest.raises((OSError, HTTPException)),
        ):
            plain.request("GET", "/opa/bundles/bookings.tar.gz")
            plain.getresponse()


def test_it_stops_while_an_opa_waits(tmp_path: Path) -> None:
    config = tmp_path / "cp.yaml"
    config.write_text("opa: {listen: '127.0.0.1:0'}\n")
    with started(tmp_path / "state", "--config", str(config)) as (process, address):
        client = admin(tmp_path / "state", address)
        principal = identity_pb2.Principal(kind="service", subject="opa", duties=["opa:bookings"])
        request = identity_pb2.IssueTokenRequest(principal=principal)
        headers = {"Authorization": f"Bearer {client.identity.IssueToken(request).token}"}
        client.channel.close()
        host, _, port = opa_address_of(process).rpartition(":")
        with closing(HTTPConnection(host, int(port), timeout=20)) as waiting:
            waiting.request("GET", "/opa/bundles/bookings.tar.gz", headers=headers)
            first = waiting.getresponse()
            first.read()
            headers |= {"If-None-Match": first.headers["ETag"], "Prefer": "wait=300"}
            waiting.request("GET", "/opa/bundles/bookings.tar.gz", headers=headers)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=20)
            assert process.returncode == 0, errors
            assert "Traceback" not in errors


def test_a_taken_port_for_opas_is_told(tmp_path: Path) -> None:
    config = tmp_path / "cp.yaml"
    with started(tmp_path / "one") as (_, address):
        config.write_text(f"opa: {{listen: '{address}'}}\n")
        errors = refused(
            *("--config", str(config), "--state", str(tmp_path / "two")),
            *("--listen", "127.0.0.1:0"),
        )
    assert address in errors


def test_a_missing_certificate_is_told(tmp_path: Path) -> None:
    config = tmp_path / "cp.yaml"
    config.write_text("listen: 0.0.0.0:0\ntls: {certificate: /none.pem, key: /none.key}\n")
    errors = refused("--config", str(config), "--state", str(tmp_path / "state"))
    assert "/none" in errors


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "control plane")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(private, SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths
