"""TLS, and which addresses need it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import click
import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cli.connection import Address, address
from mesh import errors
from mesh.v1 import identity_pb2, identity_pb2_grpc
from tests.unit.cli.terminal import Run


@pytest.mark.parametrize(
    ("text", "target", "tls"),
    [
        ("127.0.0.1:7443", "127.0.0.1:7443", False),
        ("localhost:7443", "localhost:7443", False),
        ("[::1]:7443", "[::1]:7443", False),
        ("grpc://127.0.0.1:7443", "127.0.0.1:7443", False),
        ("grpc+tcp://127.0.0.1:7443/", "127.0.0.1:7443", False),
        ("grpcs://127.0.0.1:7443", "127.0.0.1:7443", True),
        ("grpc+tls://mesh.example:7443", "mesh.example:7443", True),
        ("mesh.example:7443", "mesh.example:7443", True),
        ("192.0.2.1:7443", "192.0.2.1:7443", True),
        ("127.0.0.1:1, grpc://127.0.0.1:2", "127.0.0.1:1,127.0.0.1:2", False),
    ],
)
def test_everything_but_loopback_is_tls(text: str, target: str, tls: bool) -> None:
    assert address(text) == Address(target, tls)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:1,",
        "127.0.0.1:1,localhost:2",
        "127.0.0.1:1,[::1]:2",
        "mesh-1.example:7443,mesh-2.example:7443",
    ],
)
def test_several_addresses_are_of_this_machine(text: str) -> None:
    with pytest.raises(click.UsageError):
        address(text)


class Identity(identity_pb2_grpc.IdentityServiceServicer):
    def GetCaller(
        self, request: identity_pb2.GetCallerRequest, context: grpc.ServicerContext
    ) -> identity_pb2.GetCallerResponse:
        principal = identity_pb2.Principal(kind="user", subject="ana")
        return identity_pb2.GetCallerResponse(principal=principal)

    def IssueToken(
        self, request: identity_pb2.IssueTokenRequest, context: grpc.ServicerContext
    ) -> identity_pb2.IssueTokenResponse:
        return identity_pb2.IssueTokenResponse()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Path]:
    """A key in PEM, and the file of the certificate for this machine."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem, file


@pytest.fixture
def secure(certificate: tuple[bytes, Path]) -> Iterator[str]:
    """The address of a server that speaks TLS only."""
    key, file = certificate
    server = grpc.server(ThreadPoolExecutor(2))
    identity_pb2_grpc.add_IdentityServiceServicer_to_server(Identity(), server)
    credentials = grpc.ssl_server_credentials([(key, file.read_bytes())])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"grpcs://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def test_a_certificate_that_is_trusted_connects(
    secure: str, certificate: tuple[bytes, Path], bare: Run
) -> None:
    options = ("--server", secure, "--token", "t", "--ca-file", str(certificate[1]))
    done = bare("token", "show", *options)
    assert done.code == 0
    assert "user:ana" in done.out


def test_the_certificates_come_from_the_variable_too(
    secure: str, certificate: tuple[bytes, Path], bare: Run
) -> None:
    variables = {"MESH_CA_FILE": str(certificate[1])}
    assert bare("token", "show", "--server", secure, "--token", "t", variables=variables).code == 0


def test_a_certificate_that_is_not_trusted_is_no_server(secure: str, bare: Run) -> None:
    done = bare("token", "show", "--server", secure, "--token", "t")
    assert done.code == errors.Unavailable.kind.exit_code


def test_a_missing_file_of_certificates_is_a_usage_error(bare: Run) -> None:
    done = bare("token", "show", "--server", "h:1", "--token", "t", "--ca-file", "nowhere.pem")
    assert done.code == errors.USAGE_EXIT_CODE
    assert "nowhere.pem" in done.err
