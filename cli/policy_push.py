"""`mesh policy push`, `list`, `diff`: what was pushed for each layer, and what it would change."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.commands import MeshCommand
from cli.flags import Format
from cli.layers import LAYER, Commit, commit_of, read_layer
from cli.output import Detail, Listing, Section
from cli.records import instant
from cli.session import Session, pass_session
from cli.text import plain
from mesh import errors
from mesh.v1 import policies_pb2

if TYPE_CHECKING:
    from cli.client import Client

COLUMNS = ("revision", "layer", "state", "author", "pushed", "commit", "message")
FIELDS = (*COLUMNS, "based_on", "digest")
PROBLEMS_EXIT_CODE = errors.Invalid.kind.exit_code


@click.command(
    cls=MeshCommand,
    help="Check the modules in FOLDER and keep them as a revision that nobody decides with yet.",
    examples="""
    mesh policy push policies/organisation --layer organisation -m "residency in the EU"
    mesh policy push . --layer domain/bookings --dry-run
    """,
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--layer", type=LAYER, required=True, help="organisation, or domain/NAME.")
@click.option("-m", "--message", default="", metavar="TEXT", help="What it is for.")
@click.option("--dry-run", is_flag=True, help="Check, and keep nothing.")
@pass_session
def push(session: Session, folder: Path, layer: str, message: str, dry_run: bool) -> int:
    modules = read_layer(folder)
    commit = commit_of(folder, session.environment.variables)
    header = policies_pb2.PushPolicyHeader(
        layer=layer,
        message=message,
        commit=commit.id,
        dirty=commit.dirty,
        dry_run=dry_run,
        modules=len(modules),
    )
    with session.client() as client:
        answer = client.send(client.policies.PushPolicy, _pieces(header, modules))
    problems = [_problem(one) for one in answer.problems]
    if problems:
        if session.format is Format.TABLE:
            for one in problems:
                session.write(plain(_line(folder, one)) + "\n")
        else:
            session.show(Listing(problems, ("check", "file", "line", "message")))
        session.say(f"{len(problems)} problems; nothing was kept.")
        return PROBLEMS_EXIT_CODE
    session.show(_detail(answer.revision))
    _say_what_next(session, answer.revision, commit)
    return 0


def _say_what_next(session: Session, revision: policies_pb2.PolicyRevision, commit: Commit) -> None:
    missing = [check.name for check in revision.checks if check.outcome == "not_run"]
    if missing:
        session.say(f"Not checked, as the control plane has no OPA: {', '.join(missing)}.")
    if commit.dirty:
        session.say("The folder differs from its commit, and the revision says so.")
    if not revision.revision:
        session.say("All checks passed; nothing was kept.")
        return
    session.say(
        f"Kept as revision {revision.revision}; nobody decides with it yet. Next:"
        f" mesh policy diff {revision.revision}, mesh policy rehearse {revision.revision}"
    )


@click.command(
    cls=MeshCommand,
    name="list",
    help="List what was pushed, newest first.",
    examples="""
    mesh policy list
    mesh policy list --layer organisation -o json
    """,
)
@click.option("--layer", default="", metavar="LAYER", help="Of this layer only.")
@pass_session
def list_revisions(session: Session, layer: str) -> None:
    with session.client() as client:
        found = client.pages(
            client.policies.ListPolicyRevisions,
            lambda token: policies_pb2.ListPolicyRevisionsRequest(layer=layer, page_token=token),
            lambda page: page.revisions,
        )
        records = [_record(one) for one in found]
    session.show(Listing(records, COLUMNS, "Nothing was pushed."))


@click.command(
    cls=MeshCommand,
    help="Compare REVISION with what is in force of its layer, or with another revision."
    " Exits 10 when they differ.",
    examples="""
    mesh policy diff 57
    mesh policy diff 57 --from 41
    """,
)
@click.argument("revision", type=click.IntRange(min=1))
@click.option("--from", "before", type=click.IntRange(min=1), help="Instead of what is in force.")
@pass_session
def diff(session: Session, revision: int, before: int | None) -> int:
    with session.client() as client:
        told, new = read_revision(client, revision)
        old: Mapping[str, str] = {}
        name = f"nothing of {told.layer}"
        if before is not None or active_of(client, told.layer):
            other, old = read_revision(client, before or 0, told.layer)
            name = f"revision {other.revision}"
    lines = list(_differences(old, new))
    if session.format is Format.TABLE:
        session.write("".join(f"{plain(line)}\n" for line in lines))
    else:
        session.show(Listing(_changes(old, new), ("path", "change")))
    session.say(
        f"Revision {revision} and {name} are equal."
        if not lines
        else f"From {name} to revision {revision}."
    )
    return errors.DIFFERENT_EXIT_CODE if lines else 0


def read_revision(
    client: "Client", revision: int, layer: str = ""
) -> tuple[policies_pb2.PolicyRevision, dict[str, str]]:
    """A revision and its modules' texts; 0 is what is in force of a layer."""
    request = policies_pb2.ReadPolicyRevisionRequest(revision=revision, layer=layer)
    pieces = client.stream(client.policies.ReadPolicyRevision, request)
    told = next(pieces).revision
    return told, {piece.module.path: piece.module.text for piece in pieces}


def layer_of(client: "Client", revision: int) -> str:
    """The layer that a revision is of; its modules are not asked for."""
    request = policies_pb2.ReadPolicyRevisionRequest(revision=revision)
    with closing(client.stream(client.policies.ReadPolicyRevision, request)) as pieces:
        return next(pieces).revision.layer


def active_of(client: "Client", layer: str) -> int:
    """The revision in force of a layer for all agents; 0 for none."""
    status = client.call(client.policies.GetPolicyStatus, policies_pb2.GetPolicyStatusRequest())
    return next((one.active for one in status.layers if one.layer == layer), 0)


def _differences(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for path in sorted(old.keys() | new.keys()):
        yield from unified_diff(
            old.get(path, "").splitlines(),
            new.get(path, "").splitlines(),
            path if path in old else "/dev/null",
            path if path in new else "/dev/null",
            lineterm="",
        )


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[dict[str, object]]:
    words = {(True, False): "removed", (False, True): "added", (True, True): "changed"}
    return [
        {"path": path, "change": words[path in old, path in new]}
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]


def _pieces(
    header: policies_pb2.PushPolicyHeader, modules: Mapping[str, str]
) -> Iterable[policies_pb2.PushPolicyRequest]:
    yield policies_pb2.PushPolicyRequest(header=header)
    for path, text in modules.items():
        module = policies_pb2.PolicyModule(path=path, text=text)
        yield policies_pb2.PushPolicyRequest(module=module)


def _detail(message: policies_pb2.PolicyRevision) -> Detail:
    checks = [{"check": one.name, "outcome": one.outcome} for one in message.checks]
    record = {**_record(message), "checks": checks}
    return Detail(record, FIELDS, [Section("Checks", Listing(checks, ("check", "outcome")))])


def _record(message: policies_pb2.PolicyRevision) -> dict[str, object]:
    commit = message.commit[:12] + ("+" if message.dirty else "")
    return {
        "revision": message.revision or None,
        "layer": message.layer,
        "state": message.state if message.revision else None,
        "author": message.author,
        "pushed": instant(message.push_time),
        "commit": commit or None,
        "message": message.message or None,
        "based_on": message.based_on or None,
        "digest": message.digest,
    }


def _problem(message: policies_pb2.PolicyProblem) -> dict[str, object]:
    return {
        "check": message.check,
        "file": message.path or None,
        "line": message.line or None,
        "message": message.message,
    }


def _line(folder: Path, problem: Mapping[str, object]) -> str:
    file, line = problem["file"], problem["line"]
    place = f"{folder / str(file)}:{line}: " if line else f"{folder / str(file)}: " if file else ""
    return f"{place}{problem['message']}"
