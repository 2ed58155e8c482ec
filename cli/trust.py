"""What an auditor trusts: keys, and the newest checkpoint seen of each log. A file of their own."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

import click

from mesh.evidence.checkpoints import CheckpointInvalid, read_checkpoint
from mesh.evidence.envelopes import fingerprint
from mesh.evidence.exports import ExportVerdict, Trust

_EXAMPLE = (
    '{"control_plane": "<64 hex digits>", "agents": {"bookings/bookings-1": {"key": "<64 hex'
    ' digits>"}}}, where the digits are SHA-256 of a public key'
)
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def load_trust(path: Path) -> Trust:
    """What the file says. Says what it should look like when it can't be used."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        control = document.get("control_plane")
        agents = document.get("agents", {})
        keys = {name: _key(part["key"]) for name, part in agents.items()}
        heads = {name: part["checkpoint"] for name, part in agents.items() if "checkpoint" in part}
        for name, note in heads.items():
            if read_checkpoint(note).source != f"/agents/{name}":
                raise CheckpointInvalid(f"the checkpoint under {name} is of another log")
        return Trust(None if control is None else _key(control), keys, heads)
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise click.UsageError(
            f"{path} can't be used as trusted keys: {error}. It is JSON such as {_EXAMPLE}."
        ) from error


def learnt(trust: Trust, verdict: ExportVerdict) -> Trust:
    """What is trusted after a verification that found nothing."""
    if verdict.manifest is None or verdict.first is not None:
        return trust
    keys, heads = dict(trust.agents), dict(trust.heads)
    for log in verdict.logs:
        name = log.stretch.name
        keys[name] = fingerprint(log.stretch.public_key)
        if log.head and _size(log.head) >= _size(heads.get(name)):
            heads[name] = log.head
    return Trust(fingerprint(verdict.manifest.key), keys, heads)


def save_trust(path: Path, trust: Trust) -> None:
    """Write the file, whole or not at all."""
    document = {
        "control_plane": trust.control_plane,
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


def _entry(key: str, head: str | None) -> Mapping[str, str]:
    return {"key": key} if head is None else {"key": key, "checkpoint": head}


def _key(text: object) -> str:
    if not isinstance(text, str) or not _FINGERPRINT.fullmatch(text):
        raise ValueError("a key's fingerprint is 64 hexadecimal digits, in lower case")
    return text


def _size(note: str | None) -> int:
    return -1 if note is None else read_checkpoint(note).size
