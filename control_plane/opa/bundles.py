"""Bundles as OPA loads them: modules and data in a compressed archive, signed file by file."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass

from joserfc import jws
from joserfc.jwk import ECKey

from control_plane.identity.keys import BundleKey
from control_plane.opa.revisions import Revision
from mesh.decisions.policy import Policy

ALGORITHM = "ES256"
ROOTS = ("mesh", "mesh_opa")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle to hand out; its tag never comes again for another content."""

    revision: Revision
    tag: str
    content: bytes


def build_bundle(
    domain: str,
    number: int,
    policy: Policy,
    lookup: Policy,
    catalog: Mapping[str, object],
    key: BundleKey,
) -> Bundle:
    """The bundle of a domain: the policy that decides, the module that looks up, and the data."""
    revision = Revision(number, policy.digest)
    manifest = {"revision": str(revision), "roots": list(ROOTS), "rego_version": 1}
    files = {
        ".manifest": go_json(manifest),
        "data.json": go_json({"mesh_opa": {"catalog": catalog}}),
        **{path: text.encode() for path, text in {**policy.modules, **lookup.modules}.items()},
    }
    # Of a structured file OPA hashes this very form, whatever blanks it has.
    hashes = {path: hashlib.sha256(content).hexdigest() for path, content in sorted(files.items())}
    listed = hashlib.sha256(go_json([hashes, key.id])).hexdigest()
    signatures = go_json({"signatures": [_signed(domain, hashes, key)]})
    return Bundle(
        revision,
        f'"{number}-{listed[:32]}"',
        _archive({".signatures.json": signatures, **files}),
    )


def go_json(value: object) -> bytes:
    """JSON without blanks, as Go's encoder writes each name and value that OPA hashes."""
    text = json.dumps(
        value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    )
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").encode()


def _signed(domain: str, hashes: Mapping[str, str], key: BundleKey) -> str:
    """Signed for one domain: an OPA with another scope in its configuration refuses it."""
    claims = {
        "files": [
            {"name": path, "hash": found, "algorithm": "SHA-256"} for path, found in hashes.items()
        ],
        "scope": domain,
    }
    header = {"alg": ALGORITHM, "kid": key.id}
    private = ECKey.import_key(key.private)
    return jws.serialize_compact(header, go_json(claims), private, algorithms=[ALGORITHM])


def _archive(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(f"/{path}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(written.getvalue(), 6, mtime=0)
