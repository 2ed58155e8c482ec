"""`mesh why`: explain a read from its receipt, and decide it anew."""

from collections.abc import Mapping, Sequence

import click

from cli.arguments import AGENT
from cli.commands import MeshCommand
from cli.filters import filter_in_words
from cli.output import Detail, Listing, Section
from cli.reasons import reason_records
from cli.receipts import Ending, Receipt, StoredDecision, read_receipt
from cli.recheck import Verdict, fetch_policy, policies_of, verdict
from cli.session import Session, pass_session
from mesh import errors
from mesh.decisions.metadata import sentences
from mesh.decisions.policy import Policy
from mesh.evidence.events import agent_source
from mesh.v1 import audit_pb2

ALARM_EXIT_CODE = 1
EQUAL = "equal: a fresh engine decides the same from the same input and policy"


@click.command(
    cls=MeshCommand,
    help="Explain a read from its receipt, and decide it anew from the stored input and policy."
    " Exits 1 with an ALARM when the decision does not come out as stored.",
    examples="""
    mesh why 0193f0c2-6c3e-7b1a-9a52-1f3d2c4b5a69
    mesh why 0193f0c2-6c3e-7b1a-9a52-1f3d2c4b5a69 -o json
    mesh why 0193f0c2-6c3e-7b1a-9a52-1f3d2c4b5a69 --agent bookings/bookings-1
    """,
)
@click.argument("receipt_id", metavar="RECEIPT")
@click.option(
    "--agent",
    type=AGENT,
    metavar="DOMAIN/ID",
    help="The agent, where several have a receipt of this id.",
)
@pass_session
def why(session: Session, receipt_id: str, agent: tuple[str, str] | None) -> int:
    failed: errors.MeshError | None = None
    policies: Mapping[str, Policy] = {}
    with session.client() as client:
        request = audit_pb2.GetReceiptRequest(
            id=receipt_id, source=agent_source(*agent) if agent else ""
        )
        answer = client.call(client.audit.GetReceipt, request)
        receipt = read_receipt(answer.receipt)
        try:
            policies = policies_of(receipt.decisions, lambda digest: fetch_policy(client, digest))
        except errors.MeshError as error:
            failed = error
    verdicts = [
        verdict(decision, policies[decision.policy_digest]) if policies else None
        for decision in receipt.decisions
    ]
    texts = [text for policy in policies.values() for text in policy.modules.values()]
    session.show(_explained(receipt, verdicts, sentences(texts)))
    alarms = [found for found in verdicts if found is not None and not found.equal]
    for alarm in alarms:
        session.alarm(f"ALARM: receipt {receipt_id}: {alarm.problem}.")
    if alarms:
        return ALARM_EXIT_CODE
    if any(decision.input is None for decision in receipt.decisions):
        session.say(
            "Not decided anew: who read, and what was decided from, is sealed. Its key was"
            " destroyed (`mesh erasure list`), or has not come from the agent yet."
        )
    if failed is not None:
        session.say("Not decided anew: its policy can't be had.")
        return session.tell(failed)
    return 0


def _explained(
    receipt: Receipt, verdicts: Sequence[Verdict | None], said: Mapping[str, str]
) -> Detail:
    record: dict[str, object] = {
        "receipt": receipt.id,
        "who": receipt.principal,
        "teams": list(receipt.teams),
        "purpose": receipt.purpose,
        "when": receipt.time,
        "from": receipt.client,
        "agent": f"{receipt.domain}/{receipt.agent}",
        "statement": receipt.statement,
        "state": receipt.state,
        "message": receipt.message,
        "reasons": list(receipt.reasons),
        "rows": receipt.ending.rows if receipt.ending else None,
        "bytes": receipt.ending.bytes if receipt.ending else None,
        "duration_ms": receipt.ending.duration_ms if receipt.ending else None,
        "aborted_because": receipt.ending.reason if receipt.ending else None,
        "revision": receipt.revision,
        "decisions": [
            _decision(decision, found, receipt.purpose, said)
            for decision, found in zip(receipt.decisions, verdicts, strict=True)
        ],
    }
    fields = ["receipt", "state", "who", "teams", "purpose", "when", "agent", "statement"]
    if receipt.message:
        fields.append("message")
    if not receipt.decisions:
        fields.append("reasons")
    worded = {
        "who": receipt.principal or "sealed",
        "state": _outcome(receipt),
        "statement": receipt.statement or "not kept",
        "teams": list(receipt.teams) or None,
    }
    sections = [
        _section(decision, found, receipt.purpose, said)
        for decision, found in zip(receipt.decisions, verdicts, strict=True)
    ]
    return Detail(record, tuple(fields), sections, worded)


def _decision(
    decision: StoredDecision, found: Verdict | None, purpose: str | None, said: Mapping[str, str]
) -> dict[str, object]:
    return {
        "product": decision.product,
        "dataset": decision.dataset,
        "verdict": "allowed" if decision.allow else "denied",
        "agreement": decision.agreement,
        "contract_version": decision.contract_version,
        "policy_digest": decision.policy_digest,
        "engine": decision.engine,
        "reasons": reason_records(decision, purpose, said),
        "columns": _columns(decision, said),
        "rows": _rows(decision, said),
        "limits": decision.decision.get("limits"),
        "valid_until": decision.decision.get("valid_until"),
        "recomputed": None if found is None else {"equal": found.equal, "problem": found.problem},
        "input": decision.input,
        "decision": decision.decision,
    }


def _section(
    decision: StoredDecision, found: Verdict | None, purpose: str | None, said: Mapping[str, str]
) -> Section:
    record = _decision(decision, found, purpose, said)
    masked = [column for column in _columns(decision, said) if column["mask"] != "clear"]
    inner: list[Section] = []
    if not decision.allow:
        reasons = Listing(reason_records(decision, purpose, said), ("reason", "means", "next"))
        inner.append(Section("Denied because", reasons))
    else:
        columns = ("column", "mask", "rules", "because")
        inner.append(Section("Masked columns", Listing(masked, columns, "None.")))
        rows = Listing(_rows(decision, said), ("keeps", "rule", "because"), "All.")
        inner.append(Section("Rows", rows))
    fields = ["verdict", "agreement", "contract_version", "policy_digest", "engine"]
    fields += [name for name in ("limits", "valid_until") if record[name]]
    if found is None:
        told = "not decided anew"
    else:
        told = EQUAL if found.equal else f"ALARM: {found.problem}"
    title = f"{decision.product}, dataset {decision.dataset}"
    body = Detail(record, (*fields, "recomputed"), inner, {"recomputed": told})
    return Section(title, body)


def _columns(decision: StoredDecision, said: Mapping[str, str]) -> list[dict[str, object]]:
    return [
        {
            "column": column.column,
            "mask": column.mask,
            "rules": list(column.rules),
            "because": " ".join(said[rule] for rule in column.rules if rule in said) or None,
        }
        for column in decision.columns
    ]


def _rows(decision: StoredDecision, said: Mapping[str, str]) -> list[dict[str, object]]:
    return [
        {
            "rule": row.get("rule"),
            "filter": row.get("filter"),
            "keeps": filter_in_words(row.get("filter")),
            "because": said.get(str(row.get("rule"))),
        }
        for row in decision.row_rules
    ]


def _outcome(receipt: Receipt) -> str:
    if receipt.ending is None:
        waiting = "; its end has not arrived" if receipt.state == "started" else ""
        return f"{receipt.state}{waiting}"
    told = [receipt.ending.state, *_totals(receipt.ending)]
    if receipt.ending.reason:
        told.append(f"because {receipt.ending.reason}")
    return ", ".join(told)


def _totals(ending: Ending) -> list[str]:
    if ending.rows is None:
        return ["how much was handed out is not known"]
    told = [f"{ending.rows:,} rows"]
    if ending.bytes is not None:
        told.append(f"{ending.bytes:,} bytes")
    if ending.duration_ms is not None:
        told.append(f"{ending.duration_ms:,} ms")
    return told
