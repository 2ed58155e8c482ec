"""`mesh audit prove`: that a receipt's records are in the log that an agent signed."""

import json
from pathlib import Path

import click

from cli.arguments import AGENT
from cli.commands import MeshCommand
from cli.session import Session, pass_session
from mesh import errors
from mesh.evidence.checkpoints import read_checkpoint
from mesh.evidence.envelopes import fingerprint
from mesh.evidence.events import agent_source
from mesh.evidence.proofs import Proof, ProofBroken, ProvenRecord
from mesh.v1 import logs_pb2


@click.command(
    cls=MeshCommand,
    help="Print a proof, as JSON, that the records of a receipt are in the log that its agent"
    " signed, not that it has no others. docs/examples/verify_proof.py checks it without us.",
    examples="""
    mesh audit prove 0193f0c2-6c3e-7b1a-9a52-1f3d2c4b5a69
    mesh audit prove 0193f0c2-6c3e-7b1a-9a52-1f3d2c4b5a69 --out proof.json
    mesh audit prove 0193f0c2-6c3e-7b1a-9a52-1f3d2c4b5a69 --agent bookings/bookings-1
    """,
)
@click.argument("receipt", metavar="RECEIPT")
@click.option(
    "--agent",
    type=AGENT,
    metavar="DOMAIN/ID",
    help="The agent, where several have a receipt of this id.",
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it there."
)
@pass_session
def prove(session: Session, receipt: str, agent: tuple[str, str] | None, out: Path | None) -> int:
    source = agent_source(*agent) if agent else ""
    with session.client() as client:
        request = logs_pb2.ProveReceiptRequest(id=receipt, source=source)
        answer = client.call(client.logs.ProveReceipt, request)
    proof = Proof(
        receipt=receipt,
        checkpoint=answer.checkpoint,
        public_key=answer.public_key,
        records=tuple(
            ProvenRecord(one.sequence, one.record, tuple(one.path)) for one in answer.records
        ),
    )
    try:
        proof.check()
    except ProofBroken as error:
        session.alarm(f"ALARM: receipt {receipt} can't be proven: {error}.")
        return errors.DIFFERENT_EXIT_CODE
    text = json.dumps(proof.document(), indent=2) + "\n"
    if out is None:
        session.write(text)
    else:
        out.write_text(text, encoding="utf-8")
    checkpoint = read_checkpoint(proof.checkpoint)
    records = ", ".join(str(one.sequence) for one in proof.records)
    session.say(
        f"Proven: records {records} are among the first {checkpoint.size:,} of {checkpoint.source},"
        f" signed with the key {fingerprint(proof.public_key)}."
    )
    session.say("Not proven: that the receipt has no other records.")
    return 0
