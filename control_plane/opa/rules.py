"""What an OPA's decision log and status say, of which nothing is believed to be well-formed."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from control_plane.opa.revisions import Revision, parse_revision
from control_plane.timeline.rules import ToldDecision
from mesh.errors import PolicyError
from mesh.identity.principal import PrincipalKind
from mesh.names import is_hyphenated, is_name
from mesh.times import parse_rfc3339

LOOKUP = "mesh_opa/access/decision"
LIBRARY = "mesh/access/decision"
# An OPA keeps what it could not upload in memory; what is told later than this has a wrong clock.
_LATEST = timedelta(days=30)
_MOST_REASONS = 64
_MOST_CHARS = 200
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_RULE = re.compile(r"[a-z][a-z0-9_]{0,63}(\.[a-z0-9_]{1,64}){1,8}", re.ASCII)
_KINDS = frozenset(kind.value for kind in PrincipalKind)


@dataclass(frozen=True, slots=True)
class OpaStatus:
    """How an OPA says it is; `bundle` is the one that it decides with."""

    id: str
    version: str
    bundle: Revision | None
    problem: str


@dataclass(frozen=True, slots=True)
class KnownOpa:
    """An OPA as it was last heard of; `reporter` is whose token it showed."""

    domain: str
    reporter: str
    status: OpaStatus
    heard: datetime


@dataclass(frozen=True, slots=True)
class ReadLog:
    """The decisions that a log tells of; `refused` tells why an entry is none, once for each."""

    decisions: tuple[ToldDecision, ...]
    refused: tuple[str, ...]


def read_log(
    entries: Iterable[object], domain: str, has_product: Callable[[str], bool], now: datetime
) -> ReadLog:
    """What entries tell of our entrypoints; others are the company's own and passed over.

    Whatever they say, it is said of the domain whose duty the token has.
    """
    decisions: list[ToldDecision] = []
    refused: list[str] = []
    for entry in entries:
        if not isinstance(entry, dict):
            refused.append("no object")
            continue
        fields = _fields(entry)
        entrypoint = _text(fields.get("path")).strip("/")
        if entrypoint not in (LOOKUP, LIBRARY):
            continue
        id_, opa = _id(fields.get("decision_id")), _id(_fields(fields.get("labels")).get("id"))
        if not id_ or not opa:
            refused.append("no labels.id" if id_ else "no decision_id")
            continue
        decisions.append(_decision(fields, ToldBy(domain, opa, id_, entrypoint), has_product, now))
    return ReadLog(tuple(decisions), tuple(refused))


@dataclass(frozen=True, slots=True)
class ToldBy:
    """Which decision of which OPA, asked at which entrypoint."""

    domain: str
    opa: str
    id: str
    entrypoint: str


def _decision(
    fields: Mapping[str, object], by: ToldBy, has_product: Callable[[str], bool], now: datetime
) -> ToldDecision:
    asked, result = _fields(fields.get("input")), _fields(fields.get("result"))
    product, dataset = _target(asked, by)
    known = bool(product) and has_product(product)
    purpose = _text(asked.get("purpose"))
    allow = result.get("allow") is True
    return ToldDecision(
        id=by.id,
        opa=by.opa,
        domain=by.domain,
        time=_time(fields.get("timestamp"), now),
        allow=allow,
        actor=_actor(_fields(asked.get("subject"))),
        product=f"{by.domain}.{product}" if known else "",
        purpose=purpose if is_hyphenated(purpose) else "",
        reasons=() if allow else _reasons(result.get("reasons")),
        summary=_summary(fields, by, dataset if known else "", known),
    )


def _target(asked: Mapping[str, object], by: ToldBy) -> tuple[str, str]:
    """Product and dataset, empty where they are no names or another domain's."""
    if by.entrypoint == LOOKUP:
        product, dataset = _text(asked.get("product")), _text(asked.get("dataset"))
    else:
        stated = _fields(asked.get("product"))
        product = _text(stated.get("name")) if stated.get("domain") == by.domain else ""
        dataset = _text(_fields(asked.get("dataset")).get("name"))
    return (product if is_name(product) else "", dataset if is_name(dataset) else "")


def _summary(fields: Mapping[str, object], by: ToldBy, dataset: str, known: bool) -> str:
    told = [f"dataset {dataset}"] if dataset else []
    if not known:
        told.append(f"no product of {by.domain}")
    revisions = (
        parse_revision(_fields(bundle).get("revision"))
        for _, bundle in sorted(_fields(fields.get("bundles")).items())
    )
    revision = next((one for one in revisions if one is not None), None)
    if revision is None:
        told.append("no bundle of ours")
    else:
        told.append(f"revision {revision.number}, policy {revision.policy_digest}")
    if by.entrypoint == LIBRARY:
        told.append("the agreement was the caller's word")
    if fields.get("error") is not None:
        told.append("it failed")
    told.append(f"told by OPA {by.opa}, which is no agent: in no log, without proof")
    return "; ".join(told)


def read_status(document: object) -> OpaStatus | None:
    """The status that a document tells; None when it does not say whose it is."""
    fields = _fields(document)
    labels = _fields(fields.get("labels"))
    opa = _id(labels.get("id"))
    if not opa:
        return None
    named = sorted(_fields(fields.get("bundles")).items())
    bundles = [_fields(bundle) for _, bundle in named]
    ours = [one for one in bundles if parse_revision(one.get("active_revision")) is not None]
    # Before its first activation a bundle has no revision to know it by.
    chosen = ours[0] if ours else next(iter(bundles), {})
    return OpaStatus(
        id=opa,
        version=_line(_text(labels.get("version"))),
        bundle=parse_revision(chosen.get("active_revision")),
        problem=_problem(chosen) if bundles else "it has no bundle",
    )


def _problem(bundle: Mapping[str, object]) -> str:
    code, message = _text(bundle.get("code")), _text(bundle.get("message"))
    return _line(": ".join(part for part in (code, message) if part))


def _reasons(stated: object) -> tuple[str, ...]:
    """The ids of rules; an answer that allows nothing and says nothing failed."""
    listed = stated if isinstance(stated, list) else []
    texts = [one for one in listed if isinstance(one, str) and _RULE.fullmatch(one)]
    return tuple(sorted(set(texts))[:_MOST_REASONS]) or (PolicyError.reason,)


def _actor(subject: Mapping[str, object]) -> str:
    kind, id_ = _text(subject.get("kind")), _text(subject.get("id"))
    fits = kind in _KINDS and id_ and id_.isprintable() and len(id_) <= _MOST_CHARS
    return f"{kind}:{id_}" if fits else ""


def _time(stated: object, now: datetime) -> datetime:
    """When it was decided; now, where that can't be."""
    try:
        time = parse_rfc3339(_text(stated))
    except (ValueError, OverflowError):
        return now
    return time if now - _LATEST <= time <= now else now


def _id(value: object) -> str:
    text = _text(value)
    return text if _ID.fullmatch(text) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _fields(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _line(text: str) -> str:
    """On one line, printable, and not too long."""
    shown = "".join(char if char.isprintable() else " " for char in text[: 4 * _MOST_CHARS])
    return " ".join(shown.split())[:_MOST_CHARS]
