"""What an auditor trusts: keys, and the newest checkpoint seen of each log. A file of their own."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from cli.whole_files import written_whole
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


def learnt(trust: Trust, verdict: ExportVerdict, *, vouched: bool) -> Trust:
    """What is trusted after a verification that found nothing.

    Keys that were not known are learnt only where something vouches for them: the control plane
    that was asked, its key in the file, or that there is no file yet. A checkpoint is learnt
    wherever its agent's key is trusted.
    """
    if verdict.manifest is None or verdict.first is not None:
        return trust
    control = fingerprint(verdict.manifest.key)
    vouched = vouched or trust.control_plane == control
    keys, heads = dict(trust.agents), dict(trust.heads)
    for log in verdict.logs:
        name = log.stretch.name
        if vouched:
            keys.setdefault(name, fingerprint(log.stretch.public_key))
        if name in keys and log.head and _size(log.head) >= _size(heads.get(name)):
            heads[name] = log.head
    return Trust(control if vouched else trust.control_plane, keys, heads)


def in_words(old: Trust, new: Trust, verdict: ExportVerdict) -> Iterator[str]:
    """What was learnt, and which keys of a verification were not."""
    if new.control_plane != old.control_plane:
        yield f"Learnt the key of the control plane: {new.control_plane}."
    for name in sorted(new.agents.keys() - old.agents.keys()):
        yield f"Learnt the key of {name}: {new.agents[name]}."
    for name in sorted(new.heads):
        if new.heads[name] != old.heads.get(name):
            yield f"Learnt that {name} signed for {_size(new.heads[name]):,} records."
    unknown = sorted({log.stretch.name for log in verdict.logs} - new.agents.keys())
    unknown += ["the control plane"] if new.control_plane is None else []
    if unknown:
        yield (
            f"Not learnt: the keys of {', '.join(unknown)}, for which nothing but the file itself"
            " speaks. Verify live, or write into your file what their own machines show."
        )


def save_trust(path: Path, trust: Trust) -> None:
    """Write the file, whole or not at all."""
    document: dict[str, object] = {
        "agents": {
            name: _entry(key, trust.heads.get(name)) for name, key in sorted(trust.agents.items())
        },
    }
    if trust.control_plane is not None:
        document = {"control_plane": trust.control_plane, **document}
    with written_whole(path) as file:
        file.write((json.dumps(document, indent=2) + "\n").encode())


def _entry(key: str, head: str | None) -> Mapping[str, str]:
    return {"key": key} if head is None else {"key": key, "checkpoint": head}


def _key(text: object) -> str:
    if not isinstance(text, str) or not _FINGERPRINT.fullmatch(text):
        raise ValueError("a key's fingerprint is 64 hexadecimal digits, in lower case")
    return text


def _size(note: str | None) -> int:
    return -1 if note is None else read_checkpoint(note).size
