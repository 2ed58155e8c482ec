"""Bundles as OPA verifies them: what is signed is what it hashes, and any other byte is refused."""

import gzip
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from control_plane.identity.keys import BundleKey, open_bundle_key
from control_plane.opa.bundles import ALGORITHM, build_bundle
from mesh.decisions.opa_connections import opa_address
from mesh.decisions.shipped import shipped
from tests.differential.opa_server import OpaServer, free_port, opa_binary

# Every character that JSON can hold, and numbers in each way of writing them.
TEXTS = [
    "".join(chr(code) for code in range(start, start + 256))
    for start in (*range(0, 0xD800, 256), *range(0xE000, 0x10000, 256), 0x1F600, 0x10FF00)
]
NUMBERS = [0, -1, 2**53, 2**70, 0.1, -0.0, 1e22, 1.5e-9, 123456789.125]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> BundleKey:
    return open_bundle_key(tmp_path_factory.mktemp("keys"))


def built(key: BundleKey) -> bytes:
    odd = {"texts": TEXTS, "numbers": NUMBERS, "names": {text[:200]: None for text in TEXTS}}
    return build_bundle("bookings", 3, shipped("library"), shipped("opa"), odd, key).content


def verifying(folder: Path, content: bytes, key: BundleKey, scope: str = "bookings") -> list[str]:
    """The options with which OPA loads a bundle that it verifies."""
    bundle, pem = folder / "bundle.tar.gz", folder / "key.pem"
    bundle.write_bytes(content)
    pem.write_text(key.public_pem)
    return [
        *("--bundle", str(bundle), "--verification-key", str(pem), "--scope", scope),
        *("--verification-key-id", key.id, "--signing-alg", ALGORITHM),
    ]


def refusal(options: list[str]) -> str:
    """Why OPA does not start."""
    address = f"127.0.0.1:{free_port()}"
    command = [opa_binary(), "run", "-s", "-a", address, "--skip-version-check", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0
    return done.stderr + done.stdout


def files_of(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as archive:
        found = {one.name: archive.extractfile(one) for one in archive.getmembers()}
        return {name: file.read() for name, file in found.items() if file is not None}


def packed(files: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def test_opa_verifies_a_bundle_whatever_texts_it_holds(tmp_path: Path, key: BundleKey) -> None:
    server = OpaServer(free_port(), tuple(verifying(tmp_path, built(key), key)))
    server.start()
    try:
        connection = opa_address(server.url).connection(10)
        connection.request("GET", "/v1/data/mesh_opa/catalog")
        found = json.loads(connection.getresponse().read())["result"]
        connection.close()
    finally:
        server.stop()
    assert found["texts"] == TEXTS
    assert found["numbers"] == NUMBERS
    assert set(found["names"]) == {text[:200] for text in TEXTS}


def test_a_changed_file_is_refused(tmp_path: Path, key: BundleKey) -> None:
    files = files_of(built(key))
    assert {"/.manifest", "/data.json", "/library/access.rego", "/opa/lookup.rego"} <= set(files)
    changes = {
        "/data.json": files["/data.json"].replace(b'"names"', b'"nameS"'),
        "/library/access.rego": files["/library/access.rego"] + b"\n",
        "/.manifest": files["/.manifest"].replace(b'"3-', b'"4-'),
    }
    for name, changed in changes.items():
        assert changed != files[name]
        said = refusal(verifying(tmp_path, packed({**files, name: changed}), key))
        assert "digest mismatch" in said, name


def test_a_file_more_or_less_is_refused(tmp_path: Path, key: BundleKey) -> None:
    files = files_of(built(key))
    more = {**files, "/library/more.rego": b"package mesh.more\n"}
    assert "not included" in refusal(verifying(tmp_path, packed(more), key))
    less = {name: content for name, content in files.items() if name != "/opa/lookup.rego"}
    assert "lookup.rego" in refusal(verifying(tmp_path, packed(less), key))


def test_another_key_or_scope_is_refused(tmp_path: Path, key: BundleKey) -> None:
    other = open_bundle_key(tmp_path)
    forged = BundleKey(key.id, other.private)
    assert "verify" in refusal(verifying(tmp_path, built(forged), key))
    assert "scope" in refusal(verifying(tmp_path, built(key), key, scope="fleet"))
