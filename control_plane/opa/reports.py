"""Taking what OPAs upload: bounded, read without trust, and written a little at a time."""

import json
import zlib
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from itertools import islice

from control_plane.contracts import store as contracts
from control_plane.database import Database
from control_plane.opa import store
from control_plane.opa.rules import KnownOpa, read_log, read_status
from control_plane.timeline import store as timeline
from control_plane.timeline.decision_store import record_decisions
from control_plane.timeline.rules import Change
from mesh.errors import RequestInvalid, RequestTooLarge
from mesh.identity.principal import Principal

MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
# One transaction writes at a time, in all replicas: a long log lets others in between.
_AT_ONCE = 500


class OpaReports:
    """Stores decision logs and statuses. It blocks, so it is asked in threads."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock

    def take_log(self, reporter: Principal, domain: str, body: bytes, encoding: str) -> None:
        """Store each decision once. Raises RequestInvalid and RequestTooLarge for no log at all."""
        entries = read_body(body, encoding)
        if not isinstance(entries, list):
            raise RequestInvalid("a decision log is a JSON array of entries", field="body")
        now = self._clock()
        with self._database.reading() as tx:
            has_product = lru_cache(maxsize=1_000)(
                lambda product: bool(contracts.versions(tx, domain, product))
            )
            told = read_log(entries, domain, has_product, now)
        decisions = iter(told.decisions)
        while some := list(islice(decisions, _AT_ONCE)):
            with self._database.writing() as tx:
                record_decisions(tx, some)
        if told.refused:
            why = ", ".join(sorted(set(told.refused)))
            change = Change(
                action="opa.log_refused",
                actor=reporter.reference,
                time=now,
                reference=domain,
                summary=f"{len(told.refused)} entries of a decision log can't be taken: {why}",
                domain=domain,
            )
            with self._database.writing() as tx:
                timeline.record_change(tx, change)

    def take_status(self, reporter: Principal, domain: str, body: bytes, encoding: str) -> None:
        """Store how an OPA is. Raises RequestInvalid and RequestTooLarge."""
        status = read_status(read_body(body, encoding))
        if status is None:
            raise RequestInvalid("a status says in labels.id whose it is", field="labels.id")
        with self._database.writing() as tx:
            store.note(tx, KnownOpa(domain, reporter.reference, status, self._clock()))


def read_body(body: bytes, encoding: str) -> object:
    """The document of a body, compressed or plain. Raises RequestInvalid and RequestTooLarge."""
    if encoding not in ("", "identity", "gzip"):
        raise RequestInvalid("a body is plain or compressed with gzip", field="content-encoding")
    text = _unpacked(body) if encoding == "gzip" else body
    if len(text) > MAX_DOCUMENT_BYTES:
        raise RequestTooLarge(
            f"unpacked, a body is at most {MAX_DOCUMENT_BYTES} bytes; set a smaller"
            " `decision_logs.reporting.upload_size_limit_bytes`",
            limit=str(MAX_DOCUMENT_BYTES),
        )
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise RequestInvalid("the body is no JSON document", field="body") from None


def _unpacked(body: bytes) -> bytes:
    """At most one byte more than is allowed, however much there is."""
    unpacking = zlib.decompressobj(wbits=31)
    try:
        text = unpacking.decompress(body, MAX_DOCUMENT_BYTES + 1)
    except zlib.error:
        raise RequestInvalid("the body is not compressed with gzip", field="body") from None
    if len(text) <= MAX_DOCUMENT_BYTES and (not unpacking.eof or unpacking.unused_data):
        raise RequestInvalid("the body ends before its compressed content", field="body")
    return text


def _no_constant(name: str) -> object:
    raise ValueError(name)
