"""`mesh policy what-if`: what somebody would get, and why, without a read."""

import json
from datetime import datetime
from typing import TypedDict, Unpack

import click

from cli.arguments import PRODUCT, Reference
from cli.commands import MeshCommand
from cli.output import Detail, Listing, Section
from cli.session import Session, pass_session
from mesh import errors
from mesh.times import parse_rfc3339
from mesh.v1 import identity_pb2, policies_pb2
from mesh.wire.times import to_timestamp

REQUIREMENTS = ("met", "requirement", "means")
COLUMNS = ("column", "class", "mask", "rules")


class Asked(TypedDict):
    """Who would read what, when, and by which policy."""

    principal: tuple[str, str]
    teams: tuple[str, ...]
    product: tuple[str, str]
    purpose: str
    dataset: str
    revision: int | None
    instant: str | None
    fail_on_deny: bool


@click.command(
    cls=MeshCommand,
    help="Show what somebody would get of a product, requirement by requirement and column by"
    " column; nothing is read.",
    examples="""
    mesh policy what-if --as user:ana --product bookings.reservations --purpose crew-planning
    mesh policy what-if --as user:ana --team ops --product bookings.reservations \\
      --purpose crew-planning --revision 57 --fail-on-deny
    """,
)
@click.option(
    "--as",
    "principal",
    type=Reference("user", "service"),
    required=True,
    metavar="KIND:NAME",
    help="Who would read.",
)
@click.option("--team", "teams", multiple=True, metavar="NAME", help="Its team; repeatable.")
@click.option("--product", type=PRODUCT, required=True, metavar="DOMAIN.PRODUCT", help="Of this.")
@click.option("--purpose", required=True, metavar="ID", help="A registered purpose.")
@click.option("--dataset", default="", metavar="NAME", help="This dataset only.")
@click.option("--revision", type=click.IntRange(min=1), help="Decide with this revision.")
@click.option("--at", "instant", metavar="TIME", help="At 2026-12-31T17:00:00Z instead of now.")
@click.option("--fail-on-deny", is_flag=True, help="Exit 6 when a dataset is denied.")
@pass_session
def what_if(session: Session, **asked: Unpack[Asked]) -> int:
    kind, subject = asked["principal"]
    domain, product = asked["product"]
    request = policies_pb2.DecideForRequest(
        principal=identity_pb2.Principal(kind=kind, subject=subject, teams=asked["teams"]),
        domain=domain,
        product=product,
        dataset=asked["dataset"],
        purpose=asked["purpose"],
        revision=asked["revision"] or 0,
    )
    if asked["instant"] is not None:
        request.time.CopyFrom(to_timestamp(_instant(asked["instant"])))
    with session.client() as client:
        answer = client.call(client.policies.DecideFor, request)
    outcomes = [_outcome(one) for one in answer.outcomes]
    record = {"policy": answer.policy_digest, "outcomes": outcomes}
    sections = [_section(*one) for one in zip(answer.outcomes, outcomes, strict=True)]
    session.show(Detail(record, ("policy",), sections))
    denied = any(one["verdict"] == "deny" for one in outcomes)
    return errors.Denied.kind.exit_code if denied and asked["fail_on_deny"] else 0


def _instant(text: str) -> datetime:
    try:
        return parse_rfc3339(text)
    except ValueError:
        raise click.UsageError(
            f"--at {text!r}: give an instant such as 2026-12-31T17:00:00Z"
        ) from None


def _section(message: policies_pb2.DatasetOutcome, outcome: dict[str, object]) -> Section:
    requirements, columns = _requirements(message), _columns(message)
    sections = [Section("Requirements", Listing(requirements, REQUIREMENTS))]
    if columns:
        sections.append(Section("Columns", Listing(columns, COLUMNS)))
    fields = ("verdict", "reasons", "agreement", "rows", "limits")
    return Section(message.dataset, Detail(outcome, fields, sections))


def _requirements(message: policies_pb2.DatasetOutcome) -> list[dict[str, object]]:
    return [
        {"met": one.met, "requirement": one.id, "means": one.sentence}
        for one in message.requirements
    ]


def _columns(message: policies_pb2.DatasetOutcome) -> list[dict[str, object]]:
    return [
        {
            "column": one.column,
            "class": one.classification,
            "mask": one.mask,
            "rules": list(one.rules),
        }
        for one in message.columns
    ]


def _outcome(message: policies_pb2.DatasetOutcome) -> dict[str, object]:
    decision = json.loads(message.decision)
    return {
        "dataset": message.dataset,
        "verdict": "allow" if decision["allow"] else "deny",
        "reasons": decision["reasons"],
        "agreement": message.agreement or None,
        "rows": [row["rule"] for row in decision["rows"]],
        "limits": decision["limits"],
        "requirements": _requirements(message),
        "columns": _columns(message),
        "decision": decision,
        "input": json.loads(message.input),
    }
