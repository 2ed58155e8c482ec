"""A proof that a log includes records of a receipt, as a document of its own.

It does not prove that the receipt has no others.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mesh.evidence.checkpoints import CheckpointInvalid, open_checkpoint
from mesh.evidence.codec import place_of
from mesh.evidence.envelopes import decode_bytes, encode_bytes
from mesh.evidence.merkle import leaf_hash, root_of_inclusion


class ProofBroken(ValueError):
    """The document proves nothing: it is malformed, changed, or of another log."""


@dataclass(frozen=True, slots=True)
class ProvenRecord:
    """A record with its audit path."""

    sequence: int
    record: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """Records, the checkpoint that includes them, and the key (32 bytes) that signed it."""

    receipt: str
    checkpoint: str
    public_key: bytes
    records: tuple[ProvenRecord, ...]

    def check(self) -> None:
        """Raises ProofBroken unless the checkpoint is signed and includes every record."""
        try:
            checkpoint = open_checkpoint(self.checkpoint, self.public_key)
        except CheckpointInvalid as error:
            raise ProofBroken(f"the checkpoint does not hold: {error}") from error
        if not self.records:
            raise ProofBroken("there is no record in it")
        sequences = [one.sequence for one in self.records]
        if sequences != sorted(set(sequences)):
            raise ProofBroken("a record is in it twice, or before an earlier one")
        for one in self.records:
            try:
                leaf, index = leaf_hash(one.record), one.sequence - 1
                root = root_of_inclusion(leaf, index, checkpoint.size, one.path)
                place = place_of(one.record)
            except ValueError as error:
                raise ProofBroken(f"record {one.sequence} does not fit: {error}") from error
            if root != checkpoint.root:
                raise ProofBroken(
                    f"record {one.sequence} is not in the log that {checkpoint.source} signed"
                )
            if (place.sequence, place.receipt) != (one.sequence, self.receipt):
                raise ProofBroken(f"record {one.sequence} is of another place or receipt")

    def document(self) -> dict[str, object]:
        """The proof as JSON has it; records are text, the rest of the bytes base64."""
        return {
            "receipt": self.receipt,
            "checkpoint": self.checkpoint,
            "public_key": encode_bytes(self.public_key),
            "records": [
                {
                    "sequence": one.sequence,
                    "record": one.record.decode(),
                    "path": [encode_bytes(node) for node in one.path],
                }
                for one in self.records
            ],
        }


def read_proof(text: str | bytes) -> Proof:
    """The proof, not yet checked. Raises ProofBroken."""
    try:
        document = json.loads(text)
        return Proof(
            receipt=str(document["receipt"]),
            checkpoint=str(document["checkpoint"]),
            public_key=decode_bytes(document["public_key"]),
            records=tuple(_read_records(document["records"])),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ProofBroken(f"it is no proof: {error}") from error


def _read_records(parts: Sequence[Mapping[str, object]]) -> list[ProvenRecord]:
    records = []
    for part in parts:
        sequence, record, path = part["sequence"], part["record"], part["path"]
        if not (type(sequence) is int and isinstance(record, str) and isinstance(path, list)):
            raise TypeError("a record has a sequence, its text and a path")
        nodes = tuple(decode_bytes(node) for node in path)
        records.append(ProvenRecord(sequence, record.encode(), nodes))
    return records
