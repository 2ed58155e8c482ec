"""The index of reads: one row for each dataset of each read, to find and count them by."""

from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Select,
    Subquery,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    type_coerce,
    union_all,
    update,
)
from sqlmodel import Field, SQLModel

from control_plane.audit.reads import (
    CLASSES,
    FIRST,
    UNCLASSIFIED,
    Dimension,
    IndexedRead,
    ReadGroup,
    Selection,
    written,
)
from control_plane.bulk import insert_rows, update_rows
from control_plane.database import Instant, Transaction
from control_plane.timeline.rules import Sight, class_bits

_MICROSECONDS = 1_000_000


class DatasetReadRow(SQLModel, table=True):
    __tablename__ = "dataset_read"
    receipt: str = Field(primary_key=True)
    domain: str = Field(primary_key=True)
    agent: str = Field(primary_key=True)
    part: int = Field(primary_key=True)
    time: datetime = Field(sa_column=Column(Instant, nullable=False))
    actor: str
    product: str
    dataset: str
    purpose: str
    outcome: str
    rows: int = Field(sa_type=BigInteger)
    bytes: int = Field(sa_type=BigInteger)
    product_classes: int
    read_classes: int


_TABLE = SQLModel.metadata.tables["dataset_read"]
_READS = _TABLE.c
_READ = ("receipt", "domain", "agent")


def index_reads(tx: Transaction, reads: Sequence[IndexedRead], known: Set[str]) -> None:
    """Index one agent's new reads, and what became of those whose receipts are known."""
    rows = [row for one in reads if one.read.receipt not in known for row in _rows(one)]
    insert_rows(tx, DatasetReadRow, rows)
    moved = [
        {
            "receipt": one.read.receipt,
            "domain": one.read.domain,
            "agent": one.read.agent,
            "outcome": one.outcome,
            "rows": one.rows,
            "bytes": one.bytes,
        }
        for one in reads
        if one.read.receipt in known
    ]
    update_rows(tx, DatasetReadRow, _READ, moved)


def set_actors(tx: Transaction, domain: str, agent: str, actors: Mapping[str, str]) -> None:
    """Say who made an agent's reads, by receipt, once that is known."""
    named = [
        {"receipt": receipt, "domain": domain, "agent": agent, "actor": actor}
        for receipt, actor in actors.items()
    ]
    update_rows(tx, DatasetReadRow, _READ, named)


def blank_actor(tx: Transaction, actor: str, blank: str) -> None:
    """Put something else in the place of somebody who read; the reads stay counted."""
    tx.execute(update(_TABLE).where(_READS.actor == actor).values(actor=blank))


def summarize(
    tx: Transaction,
    sight: Sight,
    selection: Selection,
    dimensions: Sequence[Dimension],
    limit: int,
) -> list[ReadGroup]:
    """Groups of the reads in sight: by time where that is a dimension, else the largest first."""
    found = tx.execute(summary(sight, selection, dimensions, limit)).all()
    return [
        ReadGroup(
            values=tuple(written(*pair) for pair in zip(dimensions, row, strict=False)),
            reads=int(row.reads),
            refused=int(row.refused),
            rows=int(row.rows),
            bytes=int(row.bytes),
            first=row.first,
            last=row.last,
        )
        for row in found
    ]


def summary(
    sight: Sight, selection: Selection, dimensions: Sequence[Dimension], limit: int
) -> Select[Any]:
    """The query of a summary: the dimensions, reads, refused, rows, bytes, first and last time."""
    by_class = Dimension.CLASSIFICATION in dimensions
    keys = {one.value: _key(one) for one in dimensions if one is not Dimension.CLASSIFICATION}
    marks = _marks(selection, dimensions)
    wanted = [*_seen(sight), *_selected(selection)]
    if by_class:
        # Few sets of classes occur: it is cheaper to count those first, then what is in them.
        sets = _totals({**keys, "marks": marks}, wanted).subquery("sets")
        keys, query = _split(sets, selection, dimensions)
    else:
        bit = class_bits((selection.classification,)) if selection.classification else FIRST
        query = _totals(keys, [*wanted, marks.bitwise_and(bit) != 0])
    times = [keys[one.value] for one in dimensions if one.seconds]
    others = [_rank(one, keys[one.value]) for one in dimensions if not one.seconds]
    reads = query.selected_columns["reads"]
    return query.order_by(*times, reads.desc(), *others).limit(limit)


def _totals(
    keys: Mapping[str, ColumnElement[Any]], wanted: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    totals = {
        "reads": func.count(),
        "refused": func.sum(case((_READS.outcome == "refused", 1), else_=0)),
        "rows": func.sum(_READS.rows),
        "bytes": func.sum(_READS.bytes),
        "first": func.min(_READS.time),
        "last": func.max(_READS.time),
    }
    columns = [column.label(name) for name, column in {**keys, **totals}.items()]
    return select(*columns).where(*wanted).group_by(*keys.values())


def _split(
    sets: Subquery, selection: Selection, dimensions: Sequence[Dimension]
) -> tuple[dict[str, ColumnElement[Any]], Select[Any]]:
    """From totals of sets of classes those of each class, and the keys they are grouped by."""
    bits = [class_bits((selection.classification,))] if selection.classification else list(CLASSES)
    classes = union_all(*(select(literal(bit).label("bit")) for bit in bits)).subquery("classes")
    keys: dict[str, ColumnElement[Any]] = {
        one.value: classes.c.bit if one is Dimension.CLASSIFICATION else sets.c[one.value]
        for one in dimensions
    }
    totals = {
        **{name: func.sum(sets.c[name]) for name in ("reads", "refused", "rows", "bytes")},
        "first": func.min(sets.c.first),
        "last": func.max(sets.c.last),
    }
    columns = [column.label(name) for name, column in {**keys, **totals}.items()]
    joined = sets.join(classes, sets.c.marks.bitwise_and(classes.c.bit) != 0)
    return keys, select(*columns).select_from(joined).group_by(*keys.values())


def _key(dimension: Dimension) -> ColumnElement[Any]:
    if dimension.seconds:
        instant = type_coerce(_READS.time, BigInteger)
        return instant // literal_column(str(dimension.seconds * _MICROSECONDS), BigInteger)
    return _READS[dimension.value]


def _rank(dimension: Dimension, key: ColumnElement[Any]) -> ColumnElement[Any]:
    """What groups of as many reads come in the order of: without a class first."""
    return key.bitwise_and(UNCLASSIFIED - 1) if dimension is Dimension.CLASSIFICATION else key


def _marks(selection: Selection, dimensions: Sequence[Dimension]) -> ColumnElement[int]:
    """The bits by which a read counts once for each of its products, or once in all."""
    if selection.product or Dimension.PRODUCT in dimensions:
        return _READS.product_classes
    return _READS.read_classes


def _seen(sight: Sight) -> list[ColumnElement[bool]]:
    if sight.everything:
        return []
    own = _READS.actor == sight.actor
    if not sight.domains:
        return [own]
    return [or_(own, _READS.domain.in_(sorted(sight.domains)))]


def _selected(selection: Selection) -> list[ColumnElement[bool]]:
    selected = [
        _READS[name] == value
        for name in ("actor", "product", "purpose", "outcome")
        if (value := getattr(selection, name))
    ]
    if selection.since is not None:
        selected.append(_READS.time >= selection.since)
    if selection.until is not None:
        selected.append(_READS.time < selection.until)
    return selected


def _rows(indexed: IndexedRead) -> list[dict[str, object]]:
    read = indexed.read
    return [
        {
            "receipt": read.receipt,
            "domain": read.domain,
            "agent": read.agent,
            "part": part.number,
            "time": read.time,
            "actor": read.actor,
            "product": part.product,
            "dataset": part.dataset,
            "purpose": read.purpose,
            "outcome": indexed.outcome,
            "rows": indexed.rows,
            "bytes": indexed.bytes,
            "product_classes": part.product_classes,
            "read_classes": part.read_classes,
        }
        for part in indexed.parts
    ]
