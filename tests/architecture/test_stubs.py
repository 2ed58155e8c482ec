"""The committed stubs are what proto/ says."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_committed_stubs_equal_generated_ones(tmp_path: Path) -> None:
    protos = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "proto").rglob("*.proto"))
    subprocess.run(
        [
            sys.executable,
            *("-m", "grpc_tools.protoc", "-Iproto"),
            f"--python_out={tmp_path}",
            f"--grpc_python_out={tmp_path}",
            f"--mypy_out=quiet,readable_stubs:{tmp_path}",
            f"--mypy_grpc_out=quiet:{tmp_path}",
            *protos,
        ],
        cwd=ROOT,
        check=True,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
    )
    generated = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*pb2*")}
    committed = {
        p.relative_to(ROOT): p.read_bytes()
        for folder in ("mesh/v1", "mesh/arrow")
        for p in (ROOT / folder).glob("*pb2*.py*")
    }
    stale = sorted(
        str(name)
        for name in generated.keys() | committed.keys()
        if generated.get(name) != committed.get(name)
    )
    assert stale == [], "run `make gen` and commit what it changes"
