"""What the documents say about decisions, in plain Python: an outside witness.

It shares no code with the mesh and imports none of it. Layers come in as what they state for one
input; which of their requirements are true, the caller says.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]

MILDEST_FIRST = ("clear", "generalise", "partial", "pseudonym", "constant", "null", "drop")
FLOOR = {
    "public": "clear",
    "internal": "clear",
    "confidential": "generalise",
    "restricted": "pseudonym",
}
UNDECLARED = {"public": None, "internal": None, "confidential": "null", "restricted": "drop"}
IS_INSTANT = re.compile(r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z")


@dataclass
class Stated:
    """What the organisation and the domain state about one read."""

    required: dict[str, bool] = field(default_factory=dict)
    masks: list[tuple[str, str, str]] = field(default_factory=list)  # rule, class, mask
    rows: list[Document] = field(default_factory=list)
    limits: list[Document] = field(default_factory=list)
    valid_until: list[str] = field(default_factory=list)


def decide(document: Document, layers: Stated | None = None) -> Document:
    """The decision document for an input."""
    if not has_plain_texts(document):
        return refusal()
    layers = layers or Stated()
    masks = {c["id"]: mask_of(c, layers) for c in document["dataset"]["classes"]}
    reasons = sorted(
        agreement_reasons(document)
        | product_reasons(document)
        | column_reasons(document, masks)
        | {rule for rule, holds in layers.required.items() if not holds}
    )
    allow = not reasons
    return {
        "allow": allow,
        "reasons": reasons,
        "masks": masks if allow else {},
        "rows": row_rules(document, layers) if allow else [],
        "limits": strictest_limits(layers) if allow else {},
        "valid_until": next_turn(document, layers),
    }


def has_plain_texts(document: Document) -> bool:
    """Whether no text but a row filter's has a quote, a backslash or a control character."""
    agreement = document["agreement"]
    seen = {**document, "agreement": agreement and {**agreement, "row_filter": None}}
    return "\\" not in json.dumps(seen, ensure_ascii=False)


def refusal() -> Document:
    """The decision when the policy can't decide."""
    return {
        "allow": False,
        "reasons": ["policy.error"],
        "masks": {},
        "rows": [],
        "limits": {},
        "valid_until": None,
    }


def agreement_reasons(document: Document) -> set[str]:
    """Why the agreement does not carry the read; its absence is then the only reason."""
    agreement, product, now = document["agreement"], document["product"], document["now"]
    if agreement is None:
        return {"agreement.missing"}
    subject = document["subject"]
    consumers = {f"team:{team}" for team in subject["teams"]}
    if subject["kind"] in ("user", "service"):
        consumers.add(f"{subject['kind']}:{subject['id']}")
    covers = (
        agreement["consumer"] in consumers
        and agreement["domain"] == product["domain"]
        and agreement["product"] == product["name"]
        and agreement["state"] in ("active", "expired", "revoked")
    )
    if not covers or not is_instant(now) or not agreement["start"] <= now:
        return {"agreement.missing"}
    reasons = set()
    if agreement["state"] == "revoked":
        reasons.add("agreement.revoked")
    if agreement["state"] == "expired" or now >= agreement["until"]:
        reasons.add("agreement.expired")
    if agreement["purpose"] != document["purpose"]:
        reasons.add("purpose.mismatch")
    if document["dataset"]["name"] not in agreement["datasets"]:
        reasons.add("dataset.uncovered")
    return reasons


def product_reasons(document: Document) -> set[str]:
    """Why the contract does not permit the read, whatever the agreement says."""
    product, reasons = document["product"], set()
    if product["status"] not in ("active", "deprecated"):
        reasons.add("contract.inactive")
    if product["purposes"] and document["purpose"] not in product["purposes"]:
        reasons.add("purpose.not_allowed")
    return reasons


def column_reasons(document: Document, masks: dict[str, Document | None]) -> set[str]:
    """Unclassified columns, unknown masks, and what else makes an input malformed."""
    classes, reasons = document["dataset"]["classes"], set()
    if not classes or any(c["classification"] not in FLOOR for c in classes):
        reasons.add("column.unclassified")
    known = [c for c in classes if c["classification"] in FLOOR]
    if any(masks[c["id"]] is None for c in known):
        reasons.add("policy.error")
    if document["action"] != "read" or not is_instant(document["now"]):
        reasons.add("policy.error")
    return reasons


def mask_of(class_: Document, layers: Stated) -> Document | None:
    """The strictest mask that anybody wants for a class, and who wants that one."""
    floor = FLOOR.get(class_["classification"])
    if floor is None:
        return None
    if class_["mask"] is not None:
        wishes = [("library.classification", floor), ("library.contract", class_["mask"])]
    elif UNDECLARED[class_["classification"]] is None:
        wishes = [("library.classification", floor)]
    else:
        wishes = [("library.undeclared", UNDECLARED[class_["classification"]])]
    wishes += [(rule, mask) for rule, id_, mask in layers.masks if id_ == class_["id"]]
    if any(mask not in MILDEST_FIRST for _, mask in wishes):
        return None
    strictest = max((mask for _, mask in wishes), key=MILDEST_FIRST.index)
    return {
        "mask": strictest,
        "rules": sorted({rule for rule, mask in wishes if mask == strictest}),
    }


def row_rules(document: Document, layers: Stated) -> list[Document]:
    """The role's filter and the layers', in the order of their rules."""
    rows = list(layers.rows)
    if document["agreement"]["row_filter"] is not None:
        rows.append({"rule": "library.role", "filter": document["agreement"]["row_filter"]})
    return sorted(rows, key=lambda row: (row["rule"], json.dumps(row["filter"], sort_keys=True)))


def strictest_limits(layers: Stated) -> Document:
    """The fewest rows and the largest groups that anybody asks for."""
    limits: Document = {}
    for limit in layers.limits:
        for name, number in limit.items():
            stricter = min if name == "rows" else max
            limits[name] = stricter(number, limits.get(name, number))
    return limits


def next_turn(document: Document, layers: Stated) -> str | None:
    """The earliest instant after now at which the agreement begins or ends, or a layer turns."""
    turns, now, agreement = list(layers.valid_until), document["now"], document["agreement"]
    if agreement is not None and is_instant(now):
        turns += [turn for turn in (agreement["start"], agreement["until"]) if now < turn]
    return min(turns, default=None)


def is_instant(text: str) -> bool:
    """Whole seconds in UTC, as decisions are given their time."""
    return IS_INSTANT.fullmatch(text) is not None
