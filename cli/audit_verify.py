"""`mesh audit verify`: checks the logs, live or as exported, by what the agents signed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from cli.arguments import AGENT, DOMAIN
from cli.commands import MeshCommand
from cli.export_files import read_export
from cli.log_lines import export_lines, shown, signed_manifest
from cli.output import Detail, Listing, Section
from cli.session import Session, pass_session
from cli.text import instant, plain
from cli.trust import in_words, learnt, load_trust, save_trust
from mesh import errors
from mesh.evidence.envelopes import fingerprint
from mesh.evidence.exports import ExportVerdict, Trust, verify_export
from mesh.evidence.manifests import Selection
from mesh.evidence.verifying import Finding, Verdict, Wrong

FITS, TAMPERED = "fits", "TAMPERED"


@click.command(
    cls=MeshCommand,
    help="Check that no record of the agents' logs was changed, removed, added, moved or replaced:"
    " in the control plane, or in FILE, for which no control plane is needed. Exits 10 with an"
    " ALARM that names the first bad record when something was.",
    examples="""
    mesh audit verify
    mesh audit verify evidence.jsonl
    mesh audit verify evidence.jsonl --trust auditor.json
    mesh audit verify --trust auditor.json -o json
    """,
)
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
@click.option(
    "--trust",
    "trusted",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Compare with the keys and checkpoints kept there, and keep what was verified; made if"
    " it is not there.",
)
@click.option("--domain", type=DOMAIN, metavar="DOMAIN", help="Live: only agents of this domain.")
@click.option("--agent", type=AGENT, metavar="DOMAIN/ID", help="Live: only this agent.")
@pass_session
def verify(
    session: Session,
    file: Path | None,
    trusted: Path | None,
    domain: str | None,
    agent: tuple[str, str] | None,
) -> int:
    known = trusted is not None and trusted.exists()
    trust = load_trust(trusted) if trusted is not None and known else Trust()
    if file is not None:
        if domain or agent:
            raise click.UsageError(
                "An export is verified whole: --domain and --agent are for live."
            )
        verdict = _offline(session, file, trust)
    else:
        name = agent or (domain, None)
        verdict = _live(session, trust, Selection(name[0], name[1]))
    session.show(_told(verdict, str(file) if file else None, _rests_on(trusted, known=known)))
    if verdict.first is not None:
        for finding in _findings(verdict):
            session.alarm(f"ALARM: {finding.where}: {finding.message}.")
        return errors.DIFFERENT_EXIT_CODE
    if trusted is not None:
        kept = learnt(trust, verdict, vouched=file is None or not known)
        for sentence in in_words(trust, kept, verdict):
            session.say(sentence)
        save_trust(trusted, kept)
        session.say(f"Kept in {trusted} for the next time.")
    return 0


def _offline(session: Session, file: Path, trust: Trust) -> ExportVerdict:
    odd: list[Finding] = []

    def found(finding: Finding) -> None:
        if not odd:
            odd.append(finding)

    verdict = verify_export(shown(session, read_export(file, found), "verifying"), trust)
    if odd and (verdict.first is None or odd[0].wrong is Wrong.FORM):
        return ExportVerdict(verdict.manifest, odd[0], verdict.logs)
    return verdict


def _live(session: Session, trust: Trust, selection: Selection) -> ExportVerdict:
    with session.client() as client:

        def lines() -> Iterator[bytes]:
            yield from export_lines(client, signed_manifest(client, selection))

        verdict = verify_export(shown(session, lines(), "verifying"), trust, latest=True)
    if verdict.manifest is None or verdict.manifest.selection == selection:
        return verdict
    other = Finding(Wrong.MANIFEST, "the control plane answers for another selection of records")
    return replace(verdict, finding=other)


def _findings(verdict: ExportVerdict) -> list[Finding]:
    found = [verdict.finding, *(log.finding for log in verdict.logs)]
    return [finding for finding in found if finding is not None]


def _rests_on(trusted: Path | None, *, known: bool) -> str:
    if trusted is not None and known:
        return f"the keys in {trusted}"
    return (
        "the keys that came with the logs: compare their fingerprints with those that the agents"
        " and the control plane show on their own machines"
    )


def _selected(verdict: ExportVerdict) -> str | None:
    """What the export says it has whole, in words."""
    if verdict.manifest is None:
        return None
    selection = verdict.manifest.selection
    words = [f"agent {selection.agent}"] if selection.agent else []
    words += [f"domain {selection.domain}"] if selection.domain else []
    if selection.since:
        words.append(f"arrived since {instant(selection.since)}")
    if selection.before:
        words.append(f"arrived before {instant(selection.before)}")
    return ", ".join(words) or "everything"


def _told(verdict: ExportVerdict, file: str | None, rests_on: str) -> Detail:
    first, manifest = verdict.first, verdict.manifest
    record: dict[str, object] = {
        "verdict": FITS if first is None else TAMPERED,
        "first_bad": None if first is None else first.where,
        "problem": None if first is None else plain(first.message),
        "line": None if first is None else first.line,
        "source": file or "live",
        "made": None if manifest is None else manifest.time,
        "selected": _selected(verdict),
        "records": sum(log.records for log in verdict.logs),
        "left_out": sum(log.left_out for log in verdict.logs),
        "key": None if manifest is None else fingerprint(manifest.key),
        "rests_on": rests_on,
        "remarks": [plain(remark) for remark in verdict.remarks] or None,
        "logs": [_log(log) for log in verdict.logs],
    }
    fields = ["verdict", "first_bad", "problem", "line", "source", "made", "selected", "records"]
    fields += ["left_out", "remarks", "key", "rests_on"]
    shown_fields = tuple(name for name in fields if record[name] is not None)
    columns = ("agent", "verdict", "until", "proven", "whole", "remarks", "key")
    logs = Listing([_log(log) for log in verdict.logs], columns, "No logs.")
    return Detail(record, shown_fields, [Section("Logs", logs)])


def _log(log: Verdict) -> dict[str, object]:
    finding = log.finding
    return {
        "agent": log.stretch.name,
        "verdict": FITS if finding is None else TAMPERED,
        "after": log.stretch.after,
        "until": log.stretch.until,
        "proven": log.proven,
        "whole": log.records,
        "left_out": log.left_out,
        "wrong": None if finding is None else finding.wrong.value,
        "first_bad": None if finding is None else finding.first,
        "last_bad": None if finding is None else finding.last,
        "problem": None if finding is None else plain(finding.message),
        "remarks": plain("; ".join(log.remarks)) or None,
        "key": fingerprint(log.stretch.public_key),
    }
