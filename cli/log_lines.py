"""The agents' logs as an export has them, line by line, from the control plane."""

from collections.abc import Iterator
from datetime import datetime

from cli.client import Client
from cli.session import Session
from mesh.evidence.manifests import Manifest, Selection, read_manifest
from mesh.v1 import logs_pb2
from mesh.wire.times import to_timestamp

_EVERY_SECONDS = 0.2


def signed_manifest(client: Client, selection: Selection) -> bytes:
    """What the control plane says, signed, that an export of the selection holds now."""
    request = logs_pb2.SignManifestRequest(selection=_message(selection))
    return client.call(client.logs.SignManifest, request).manifest


def export_lines(client: Client, line: bytes) -> Iterator[bytes]:
    """The export that a manifest describes, each line with its end.

    Raises EnvelopeInvalid for a manifest that is none.
    """
    yield line + b"\n"
    manifest = read_manifest(line)
    for stretch in manifest.stretches:
        if stretch.until == stretch.after:
            continue
        request = logs_pb2.ReadLogRequest(
            domain=stretch.domain,
            agent=stretch.agent,
            after=stretch.after,
            until=stretch.until,
            selection=_message(manifest.selection),
        )
        for piece in client.stream(client.logs.ReadLog, request):
            yield piece.leaves + b"\n"
            for record in piece.records:
                yield record + b"\n"


def count_of(manifest: Manifest) -> int:
    """How many records the stretches have, whole or as hashes."""
    return sum(stretch.until - stretch.after for stretch in manifest.stretches)


def shown(session: Session, lines: Iterator[bytes], verb: str) -> Iterator[bytes]:
    """The lines; in a terminal people see on stderr how many have passed."""
    terminal = session.environment.err
    if not terminal.is_terminal or session.flags.quiet:
        yield from lines
        return
    told = session.environment.monotonic()
    try:
        for number, line in enumerate(lines, 1):
            yield line
            now = session.environment.monotonic()
            if now - told >= _EVERY_SECONDS:
                terminal.stream.write(f"\r{verb} line {number:,} ")
                terminal.stream.flush()
                told = now
    finally:
        terminal.stream.write("\r\x1b[K")


def _message(selection: Selection) -> logs_pb2.LogSelection:
    message = logs_pb2.LogSelection(domain=selection.domain or "", agent=selection.agent or "")
    _set(message, "since", selection.since)
    _set(message, "before", selection.before)
    return message


def _set(message: logs_pb2.LogSelection, field: str, instant: datetime | None) -> None:
    if instant is not None:
        getattr(message, field).CopyFrom(to_timestamp(instant))
