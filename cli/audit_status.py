"""`mesh audit status`: how much of the agents' logs is here, signed for and checked."""

from datetime import timedelta

import click

from cli.commands import MeshCommand
from cli.output import Listing
from cli.records import instant
from cli.session import Session, pass_session
from cli.text import plain
from mesh import errors
from mesh.evidence.envelopes import fingerprint
from mesh.v1 import logs_pb2

# Agents sign within seconds and call at least every ten; what takes longer is worth a look.
PATIENCE = timedelta(minutes=1)
COLUMNS = (
    "agent", "state", "coverage", "stored", "signed", "verified", "missing", "unfinished_reads",
    "heard", "problem",
)  # fmt: skip
_PROBLEMS = frozenset({"broken", "gap", "unsigned"})


@click.command(
    cls=MeshCommand,
    help="Show for each agent how many records of its log are stored, signed for and verified, what"
    " is missing, and which reads have not ended. Exits 10 when a log was forked, has a gap, or is"
    " not signed for.",
    examples="""
    mesh audit status
    mesh audit status -o json | jq '.[] | select(.state != "ok")'
    """,
)
@pass_session
def status(session: Session) -> int:
    with session.client() as client:
        answer = client.call(client.logs.ListLogs, logs_pb2.ListLogsRequest())
    records = [_record(log, session) for log in answer.logs]
    session.show(Listing(records, COLUMNS, "No agents that you may see."))
    wrong = [record for record in records if record["state"] in _PROBLEMS]
    for record in wrong:
        session.alarm(f"ALARM: {record['agent']}: {record['problem']}.")
    return errors.DIFFERENT_EXIT_CODE if wrong else 0


def _record(log: logs_pb2.Log, session: Session) -> dict[str, object]:
    total = max(log.stored_size, log.witnessed_size)
    state, problem = _state(log, session)
    return {
        "agent": plain(f"{log.domain}/{log.agent}"),
        "state": state,
        "coverage": "100 %" if log.verified_size == total else _percent(log.verified_size, total),
        "stored": log.stored_size,
        "signed": log.witnessed_size,
        "verified": log.verified_size,
        "missing": max(0, log.witnessed_size - log.stored_size),
        "unfinished_reads": log.unfinished_reads,
        "heard": instant(log.contact_time),
        "last_record": instant(log.arrival_time),
        "connected": log.connected,
        "problem": None if problem is None else plain(problem),
        "key": fingerprint(log.public_key),
    }


def _state(log: logs_pb2.Log, session: Session) -> tuple[str, str | None]:
    now = session.now()
    heard, arrived = instant(log.contact_time), instant(log.arrival_time)
    old = arrived is None or now - arrived > PATIENCE
    if log.problem:
        return "broken", log.problem
    if old and log.witnessed_size > log.stored_size:
        missing = log.witnessed_size - log.stored_size
        return "gap", f"not arrived of what the agent signed for: {missing:,}"
    if old and log.stored_size > log.verified_size:
        unsigned = log.stored_size - log.verified_size
        return "unsigned", f"not signed for by the agent, at the end: {unsigned:,}"
    if not log.connected and old and (heard is None or now - heard > PATIENCE):
        return "late", "the agent is not heard; what it holds back is not known"
    return "ok", None


def _percent(part: int, whole: int) -> str:
    """Rounded down, so that 100 % means all."""
    return f"{part * 1000 // whole / 10:.1f} %"
