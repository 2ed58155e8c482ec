"""What an auditor trusts: keys, and the newest checkpoint seen of each log. A file of their own."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import click

from mesh.evidence.checkpoints import CheckpointInvalid, open_checkpoint, read_checkpoint
from mesh.evidence.exports import ExportVerdict, Trust

_EXAMPLE = (
    '{"control_plane": "<64 hex digits>",'
    ' "agents": {"bookings/bookings-1": {"public_key": "<64 hex digits>"}}}'
)


def load_trust(path: Path) -> Trust:
    """What the file says. Says what it should look like when it can't be used."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        control = document.get("control_plane")
        agents = document.get("agents", {})
        keys = {name: _key(part["public_key"]) for name, part in agents.items()}
        heads = {name: part["checkpoint"] for name, part in agents.items() if "checkpoint" in part}
        for name, note in heads.items():
            if open_checkpoint(note, keys[name]).source != f"/agents/{name}":
                raise CheckpointInvalid(f"the checkpoint under {name} is of another log")
        return Trust(None if control is None else _key(control), keys, heads)
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise click.UsageError(
            f"{path} can't be used as trusted keys: {error}. It is JSON such as {_EXAMPLE}"
        ) from error


def learnt(trust: Trust, verdict: ExportVerdict) -> Trust:
    """What is trusted after a verification that found nothing."""
    if verdict.manifest is None or verdict.first is not None:
        return trust
    keys, heads = dict(trust.agents), dict(trust.heads)
    for log in verdict.logs:
        name = log.stretch.name
        keys[name] = log.stretch.public_key
        if log.head and _size(log.head) >= _size(heads.get(name)):
            heads[name] = log.head
    return Trust(verdict.manifest.key, keys, heads)


def save_trust(path: Path, trust: Trust) -> None:
    """Write the file, whole or not at all."""
    document = {
        "control_plane": None if trust.control_plane is None else trust.control_plane.hex(),
        "agents": {
            name: _entry(key, trust.heads.get(name)) for name, key in sorted(trust.agents.items())
        },
    }
    beside = path.with_name(f"{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _entry(key: bytes, head: str | None) -> Mapping[str, str]:
    entry = {"public_key": key.hex()}
    return entry if head is None else {**entry, "checkpoint": head}


def _key(text: object) -> bytes:
    key = bytes.fromhex(text) if isinstance(text, str) else b""
    if len(key) != 32:
        raise ValueError("a key is 64 hexadecimal digits")
    return key


def _size(note: str | None) -> int:
    return -1 if note is None else read_checkpoint(note).size
