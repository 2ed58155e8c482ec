"""`mesh access`: ask for access, decide on it, end it."""

from datetime import UTC
from typing import TypedDict, Unpack

import click

from cli.arguments import DOMAIN, PRODUCT, Reference, instant_ahead
from cli.commands import MeshGroup
from cli.enforcing import agents_section, await_enforcements, enforcement_record, unenforced
from cli.output import Detail, Listing
from cli.records import agreement, state_number
from cli.session import Session, pass_session
from mesh.agreements.values import AgreementState
from mesh.v1 import agreements_pb2
from mesh.wire.times import to_timestamp

ID_METAVAR = "AGREEMENT"
FIELDS = (
    "id", "state", "product", "datasets", "consumer", "role", "purpose", "justification",
    "requester", "requested", "until", "approvers", "decider", "decided", "note", "ender", "ended",
    "enforced", "first_read",
)  # fmt: skip
STEP_FIELDS = (*FIELDS, "revision")
OPEN_FIELDS = frozenset(
    {"approvers", "decider", "decided", "note", "ender", "ended", "enforced", "first_read"}
)


class Wanted(TypedDict):
    """What a request asks for, beside the product."""

    role: str
    purpose: str
    justification: str
    until: str | None
    datasets: tuple[str, ...]
    consumer: tuple[str, str] | None


class Wish(TypedDict):
    """Which agreements to list."""

    product: tuple[str, str] | None
    domain: str | None
    state: str | None
    consumer: tuple[str, str] | None


@click.group(
    cls=MeshGroup,
    help="Ask for access, decide on it, end it.",
    examples="""
    mesh access request bookings.reservations --role analyst --purpose crew-planning \\
      --justification "rota of week 48" --until 90d
    mesh access list --state requested
    mesh access approve 0193f0c2-6c3e-7b1a-9a52-1f3d2c4b5a69
    """,
)
def access() -> None:
    """Ask for access, decide on it, end it."""


@access.command(
    help="Ask the owners of a product for access.",
    examples="""
    mesh access request bookings.reservations --role analyst --purpose crew-planning \\
      --justification "rota of week 48"
    mesh access request bookings.reservations --role analyst --purpose crew-planning \\
      --justification "rota" --for team:ops --dataset passengers --until 2026-12-31
    """,
)
@click.argument("product", type=PRODUCT, metavar="DOMAIN.PRODUCT")
@click.option("--role", required=True, metavar="NAME", help="A role that the contract offers.")
@click.option("--purpose", required=True, metavar="ID", help="A registered purpose.")
@click.option("--justification", required=True, metavar="TEXT", help="Why, for the owners.")
@click.option(
    "--until",
    metavar="TIME",
    help="2026-12-31T17:00:00Z, 2026-12-31, 90d or 12h.  [default: 90d]",
)
@click.option(
    "--dataset", "datasets", multiple=True, metavar="NAME", help="This dataset only; repeatable."
)
@click.option(
    "--for",
    "consumer",
    type=Reference("user", "team", "service"),
    metavar="KIND:NAME",
    help="Your team, such as team:ops, instead of you.",
)
@pass_session
def request(session: Session, product: tuple[str, str], **wanted: Unpack[Wanted]) -> None:
    message = agreements_pb2.RequestAgreementRequest(
        request_id=session.environment.new_id(),
        domain=product[0],
        product=product[1],
        role=wanted["role"],
        purpose=wanted["purpose"],
        justification=wanted["justification"],
        datasets=wanted["datasets"],
        consumer=_reference(wanted["consumer"]),
    )
    if wanted["until"] is not None:
        end, spoken = instant_ahead(wanted["until"], session.now())
        message.expire_time.CopyFrom(to_timestamp(end))
        if spoken:
            session.say(spoken)
    with session.client() as client:
        answer = client.call(client.agreements.RequestAgreement, message)
    _show(session, answer.agreement, STEP_FIELDS)
    who = " or ".join(answer.agreement.approvers) or "an owner of the product"
    session.say(f"Requested; {who} decides: mesh access approve {answer.agreement.id}")


@access.command(
    name="list",
    help="List agreements, newest first.",
    examples="""
    mesh access list
    mesh access list --product bookings.reservations --state active -o json
    mesh access list --consumer team:ops
    """,
)
@click.option("--product", type=PRODUCT, metavar="DOMAIN.PRODUCT", help="Of this product.")
@click.option("--domain", type=DOMAIN, metavar="NAME", help="Of this domain's products.")
@click.option("--state", type=click.Choice([str(s) for s in AgreementState]), help="In this state.")
@click.option(
    "--consumer",
    type=Reference("user", "team", "service"),
    metavar="KIND:NAME",
    help="For this consumer.",
)
@pass_session
def list_agreements(session: Session, **wish: Unpack[Wish]) -> None:
    domain, product = wish["product"] or (wish["domain"] or "", "")
    with session.client() as client:
        found = client.pages(
            client.agreements.ListAgreements,
            lambda token: agreements_pb2.ListAgreementsRequest(
                domain=domain,
                product=product,
                state=state_number(wish["state"]),
                consumer=_reference(wish["consumer"]),
                page_token=token,
            ),
            lambda page: page.agreements,
        )
        records = [agreement(message) for message in found]
    columns = ("id", "state", "product", "consumer", "role", "purpose", "until")
    session.show(Listing(records, columns, "No agreements. `mesh access request` asks for one."))


@access.command(
    help="Show one agreement: who asked, who decided, and since when it is enforced and used.",
    examples="mesh access show 0193f0c2-6c3e-7b1a-9a52-1f3d2c4b5a69",
)
@click.argument("agreement_id", metavar=ID_METAVAR)
@pass_session
def show(session: Session, agreement_id: str) -> None:
    with session.client() as client:
        message = agreements_pb2.GetAgreementRequest(id=agreement_id)
        answer = client.call(client.agreements.GetAgreement, message)
    _show(session, answer.agreement)


@access.command(
    help="Approve a request; its product's owners may.",
    examples='mesh access approve 0193f0c2-6c3e-7b1a-9a52-1f3d2c4b5a69 --note "this season"',
)
@click.argument("agreement_id", metavar=ID_METAVAR)
@click.option("--note", default="", metavar="TEXT", help="For the record.")
@pass_session
def approve(session: Session, agreement_id: str, note: str) -> None:
    with session.client() as client:
        message = agreements_pb2.ApproveAgreementRequest(id=agreement_id, note=note)
        answer = client.call(client.agreements.ApproveAgreement, message)
    _show(session, answer.agreement, STEP_FIELDS)


@access.command(
    help="Refuse a request; its product's owners may.",
    examples='mesh access reject 0193f0c2-6c3e-7b1a-9a52-1f3d2c4b5a69 --note "ask for less"',
)
@click.argument("agreement_id", metavar=ID_METAVAR)
@click.option("--note", default="", metavar="TEXT", help="Tells the requester why.")
@pass_session
def reject(session: Session, agreement_id: str, note: str) -> None:
    with session.client() as client:
        message = agreements_pb2.RejectAgreementRequest(id=agreement_id, note=note)
        answer = client.call(client.agreements.RejectAgreement, message)
    _show(session, answer.agreement, STEP_FIELDS)


@access.command(
    help="Take your own request back.",
    examples="mesh access cancel 0193f0c2-6c3e-7b1a-9a52-1f3d2c4b5a69",
)
@click.argument("agreement_id", metavar=ID_METAVAR)
@pass_session
def cancel(session: Session, agreement_id: str) -> None:
    with session.client() as client:
        message = agreements_pb2.CancelAgreementRequest(id=agreement_id)
        answer = client.call(client.agreements.CancelAgreement, message)
    _show(session, answer.agreement, STEP_FIELDS)


@access.command(
    help="End an active agreement; an owner, the steward, security or the consumer may. With"
    " --wait, return when every agent of the domain enforces that, or, with exit code 9, after"
    " --timeout.",
    examples="""
    mesh access revoke 0193f0c2-6c3e-7b1a-9a52-1f3d2c4b5a69 --note "project ended"
    mesh access revoke 0193f0c2-6c3e-7b1a-9a52-1f3d2c4b5a69 --wait --timeout 60
    """,
)
@click.argument("agreement_id", metavar=ID_METAVAR)
@click.option("--note", default="", metavar="TEXT", help="Tells the consumer why.")
@click.option("--wait", is_flag=True, help="Wait until all agents of the domain enforce it.")
@pass_session
def revoke(session: Session, agreement_id: str, note: str, wait: bool) -> int:
    with session.client() as client:
        message = agreements_pb2.RevokeAgreementRequest(id=agreement_id, note=note)
        revoked = client.call(client.agreements.RevokeAgreement, message).agreement
        if not wait:
            _show(session, revoked, STEP_FIELDS)
            return 0
        session.say(f"Revoked in revision {revoked.revision}; waiting for the agents.")
        found = await_enforcements(session, client, agreement_id)
    record = enforcement_record(found, revoked.end_time.ToDatetime(tzinfo=UTC))
    _show(session, revoked, STEP_FIELDS, record)
    late = unenforced(agreement_id, found)
    return session.tell(late) if late is not None else 0


def _reference(pair: tuple[str, str] | None) -> str:
    return ":".join(pair) if pair else ""


def _show(
    session: Session,
    message: agreements_pb2.Agreement,
    fields: tuple[str, ...] = FIELDS,
    enforcement: dict[str, object] | None = None,
) -> None:
    """An agreement, and, after waiting for them, how it stands with the agents."""
    record = {**agreement(message), **(enforcement or {})}
    worded: dict[str, object] = {}
    if record["state"] == AgreementState.ACTIVE:
        worded["enforced"] = record["enforced"] or "not yet by any agent"
        worded["first_read"] = record["first_read"] or "none yet"
    shown = {**record, **worded}
    names = tuple(name for name in fields if shown[name] or name not in OPEN_FIELDS)
    if enforcement is None:
        session.show(Detail(record, names, worded=worded))
        return
    after = record["enforced_after"]
    worded["enforced_after"] = "no agent acknowledged" if after is None else f"{after:.3f} seconds"
    names += ("enforced_after",)
    session.show(Detail(record, names, [agents_section(record)], worded))
