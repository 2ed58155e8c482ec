"""`mesh audit export`: the evidence as a file that anybody can verify, without us."""

from pathlib import Path
from typing import TypedDict, Unpack

import click

from cli.arguments import AGENT, DOMAIN, instant_behind
from cli.commands import MeshCommand
from cli.export_files import write_export
from cli.log_lines import count_of, export_lines, shown, signed_manifest
from cli.output import Detail
from cli.session import Session, pass_session
from mesh.evidence.envelopes import fingerprint
from mesh.evidence.manifests import Selection, read_manifest

FORMATS = ("jsonl", "parquet")


class Wish(TypedDict):
    """What to export, and how."""

    domain: str | None
    agent: tuple[str, str] | None
    since: str | None
    until: str | None
    form: str | None
    force: bool


@click.command(
    cls=MeshCommand,
    help="Write the agents' logs to a file that `mesh audit verify` checks anywhere, offline. What"
    " names persons stays sealed. Of records that are left out the file has the hashes.",
    examples="""
    mesh audit export evidence.jsonl
    mesh audit export october.parquet --since 2026-10-01 --until 2026-11-01
    mesh audit export bookings.jsonl --agent bookings/bookings-1 --since 7d
    """,
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--domain", type=DOMAIN, metavar="DOMAIN", help="Only the agents of this domain.")
@click.option("--agent", type=AGENT, metavar="DOMAIN/ID", help="Only this agent.")
@click.option("--since", metavar="TIME", help="Whole only what arrived from TIME on.")
@click.option("--until", metavar="TIME", help="Whole only what arrived before TIME.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="JSON lines or Parquet.  [by FILE's name]"
)
@click.option("--force", is_flag=True, help="Replace FILE when it is there already.")
@pass_session
def export(session: Session, file: Path, **wish: Unpack[Wish]) -> None:
    if file.exists() and not wish["force"]:
        raise click.UsageError(f"{file} is there already; name another file, or pass --force.")
    if not file.absolute().parent.is_dir():
        raise click.UsageError(f"The folder of {file} does not exist.")
    parquet = (wish["form"] or file.suffix) in ("parquet", ".parquet")
    with session.client() as client:
        line = signed_manifest(client, selection_of(session, wish))
        manifest = read_manifest(line)
        lines = shown(session, export_lines(client, line), "writing")
        written = write_export(file, lines, parquet=parquet)
    record: dict[str, object] = {
        "file": str(file),
        "logs": len(manifest.stretches),
        "records": written.records,
        "hashes": count_of(manifest) - written.records,
        "bytes": written.size,
        "sha256": written.sha256,
        "made": manifest.time,
        "key": fingerprint(manifest.key),
    }
    session.show(Detail(record, tuple(record)))
    session.say(f"Check it with `mesh audit verify {file}`.")


def selection_of(session: Session, wish: Wish) -> Selection:
    """What is to be exported. Raises UsageError for options that contradict each other."""
    domain, agent = wish["domain"], wish["agent"]
    if domain is not None and agent is not None and agent[0] != domain:
        raise click.UsageError(f"{agent[0]}/{agent[1]} is no agent of {domain}.")
    now = session.now()
    since, until = (
        None if text is None else instant_behind(text, now)
        for text in (wish["since"], wish["until"])
    )
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since is not before --until.")
    name = (domain, None) if agent is None else agent
    return Selection(name[0], name[1], since, until)
