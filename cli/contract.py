"""`mesh contract`: check and compare the files that declare products."""

import click

from cli.commands import MeshGroup
from cli.documents import Document, read_document
from cli.flags import Format
from cli.output import Detail, Listing, Section
from cli.session import Session, pass_session
from cli.text import plain
from cli.versions import enough, least_version
from mesh import errors
from mesh.contracts.diff import Change, diff, required_bump
from mesh.contracts.parse import Problem, lint
from mesh.contracts.values import Contract
from mesh.v1 import contracts_pb2, purposes_pb2

PROBLEMS_EXIT_CODE = errors.Invalid.kind.exit_code


@click.group(
    cls=MeshGroup,
    help="Check and compare the files that declare products.",
    examples="""
    mesh contract lint contracts/*.yaml
    mesh contract diff reservations-1.yaml reservations-2.yaml
    mesh contract diff --published reservations.yaml
    """,
)
def contract() -> None:
    """Check and compare the files that declare products."""


@contract.command(
    name="lint",
    help="Find every problem in contracts, without a server. Exits 4 when there are any.",
    examples="""
    mesh contract lint reservations.yaml
    mesh contract lint --online contracts/*.yaml -o json
    """,
)
@click.argument("files", nargs=-1, required=True)
@click.option("--online", is_flag=True, help="Also check purposes against the registered ones.")
@pass_session
def lint_files(session: Session, files: tuple[str, ...], online: bool) -> int:
    documents = [read_document(name) for name in files]
    purposes = _registered(session) if online else None
    records: list[dict[str, object]] = []
    too_large = 0
    for document in documents:
        try:
            linted = lint(document.content, purposes)
        except errors.ContractTooLarge as error:
            session.say(f"{document.name}:")
            too_large = session.tell(error)
            continue
        records.extend(_record(document, problem) for problem in linted.problems)
    if session.format is Format.TABLE:
        for record in records:
            session.write(_line(record))
    else:
        columns = ("file", "line", "column", "field", "message")
        session.show(Listing(records, columns))
    session.say(f"{_count(len(files), 'file')}, {_count(len(records), 'problem')}.")
    return PROBLEMS_EXIT_CODE if records else too_large


@contract.command(
    name="diff",
    help="Compare OLD with NEW, or a file with what is published. Exits 0 when they are equal,"
    " 10 when not.",
    examples="""
    mesh contract diff reservations-1.yaml reservations-2.yaml
    mesh contract diff --published reservations.yaml
    """,
)
@click.argument("files", nargs=-1, required=True, metavar="[OLD] NEW")
@click.option("--published", is_flag=True, help="Compare with the newest published version.")
@pass_session
def diff_files(session: Session, files: tuple[str, ...], published: bool) -> int:
    if len(files) != (1 if published else 2):
        raise click.UsageError("Give OLD and NEW, or --published and one file.")
    new = _parsed(read_document(files[-1]))
    old = _published(session, new) if published else _parsed(read_document(files[0]))
    changes = diff(old, new)
    bump = required_bump(changes)
    rises = bump is None or enough(old.version, new.version, bump)
    record = {
        "product": new.name,
        "old": old.version,
        "new": new.version,
        "required_bump": bump,
        "version_rises_enough": rises,
        "changes": [_change(change) for change in changes],
    }
    columns = ("bump", "what", "where", "before", "after")
    listing = Listing([_change(change) for change in changes], columns, "None.")
    breaking = sum(change.breaking for change in changes)
    title = f"{_count(len(changes), 'change')}, {breaking} breaking"
    session.show(
        Detail(record, ("product", "old", "new", "required_bump"), [Section(title, listing)])
    )
    if bump is not None and not rises:
        least = least_version(old.version, bump)
        session.say(f"Version {new.version} is too low for a {bump} change; use {least} or more.")
    return errors.DIFFERENT_EXIT_CODE if changes or old.version != new.version else 0


def _registered(session: Session) -> frozenset[str]:
    with session.client() as client:
        found = client.pages(
            client.purposes.ListPurposes,
            lambda token: purposes_pb2.ListPurposesRequest(page_token=token),
            lambda page: page.purposes,
        )
        return frozenset(purpose.id for purpose in found)


def _published(session: Session, new: Contract) -> Contract:
    request = contracts_pb2.GetContractRequest(domain=new.domain, product=new.product)
    with session.client() as client:
        answer = client.call(client.contracts.GetContract, request)
    return _parsed(Document(f"the published {new.name}", answer.contract.document))


def _parsed(document: Document) -> Contract:
    """The contract of a document. Raises ContractInvalid with every problem at its place."""
    linted = lint(document.content)
    if linted.contract is None:
        lines = "".join(_line(_record(document, problem)) for problem in linted.problems)
        raise errors.ContractInvalid(
            f"{document.name} is no valid contract:\n{lines.rstrip()}", file=document.name
        )
    return linted.contract


def _record(document: Document, problem: Problem) -> dict[str, object]:
    return {
        "file": document.name,
        "line": problem.line,
        "column": problem.column,
        "field": problem.field,
        "message": problem.message,
    }


def _line(record: dict[str, object]) -> str:
    field = f"{record['field']}: " if record["field"] else ""
    place = f"{record['file']}:{record['line']}:{record['column']}"
    return plain(f"{place} {field}{record['message']}") + "\n"


def _change(change: Change) -> dict[str, object]:
    return {
        "bump": str(change.bump),
        "what": str(change.what),
        "where": change.where,
        "before": change.before,
        "after": change.after,
        "breaking": change.breaking,
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
