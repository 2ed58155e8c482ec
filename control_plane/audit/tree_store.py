"""The logs' tables: how far each agent's log is, and its tree."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import BigInteger, Column, delete, func, insert, tuple_, update
from sqlmodel import Field, SQLModel, col, select

from control_plane.audit.tiles import WIDTH, Tile, TileNodes, split
from control_plane.database import Instant, Transaction
from mesh.evidence.merkle import HASH_BYTES, Frontier


class LogRow(SQLModel, table=True):
    __tablename__ = "log"
    domain: str = Field(primary_key=True)
    agent: str = Field(primary_key=True)
    size: int = Field(sa_type=BigInteger)
    nodes: bytes
    witnessed_size: int = Field(sa_type=BigInteger)
    verified_size: int = Field(sa_type=BigInteger)
    unfinished: int = Field(sa_type=BigInteger)
    problem: str
    arrival: datetime | None = Field(sa_column=Column(Instant))


class TileRow(SQLModel, table=True):
    """Also tells when its oldest and newest records were stored."""

    __tablename__ = "log_tile"
    domain: str = Field(primary_key=True)
    agent: str = Field(primary_key=True)
    height: int = Field(primary_key=True)
    place: int = Field(primary_key=True, sa_type=BigInteger)
    hashes: bytes
    oldest: datetime = Field(sa_column=Column(Instant, nullable=False))
    newest: datetime = Field(sa_column=Column(Instant, nullable=False))


@dataclass(frozen=True, slots=True)
class Span:
    """When the oldest and the newest of some records were stored."""

    oldest: datetime
    newest: datetime


@dataclass(frozen=True, slots=True)
class StoredLog:
    """How far a log is stored, witnessed and checked; `problem` is empty while all fits.

    `unfinished` counts the reads whose end has not arrived.
    """

    domain: str
    agent: str
    frontier: Frontier = field(default_factory=Frontier)
    witnessed_size: int = 0
    verified_size: int = 0
    unfinished: int = 0
    problem: str = ""
    arrival: datetime | None = None

    @property
    def size(self) -> int:
        """How many records are stored."""
        return self.frontier.size


def find(tx: Transaction, domain: str, agent: str) -> StoredLog:
    """An agent's log; an empty one before the first record and checkpoint."""
    # `put` changes the row behind the back of what was loaded earlier in the transaction.
    row = tx.get(LogRow, (domain, agent), populate_existing=True)
    return StoredLog(domain, agent) if row is None else _log(row)


def logs(tx: Transaction) -> dict[tuple[str, str], StoredLog]:
    """Every log, by domain and agent."""
    return {(row.domain, row.agent): _log(row) for row in tx.exec(select(LogRow))}


def put(tx: Transaction, log: StoredLog) -> None:
    """Store how far a log is."""
    values = {
        "size": log.size,
        "nodes": b"".join(log.frontier.nodes),
        "witnessed_size": log.witnessed_size,
        "verified_size": log.verified_size,
        "unfinished": log.unfinished,
        "problem": log.problem,
        "arrival": log.arrival,
    }
    name = {"domain": log.domain, "agent": log.agent}
    row = tx.get(LogRow, (log.domain, log.agent))
    if row is None:
        tx.execute(insert(LogRow).values(**name, **values))
    else:
        tx.execute(update(LogRow), [{**name, **values}])


def nodes(tx: Transaction, domain: str, agent: str) -> TileNodes:
    """The hashes of a log's tree, a tile at a time."""

    def load(height: int, place: int) -> bytes:
        found = tx.exec(
            select(TileRow.hashes).where(
                TileRow.domain == domain,
                TileRow.agent == agent,
                TileRow.height == height,
                TileRow.place == place,
            )
        ).first()
        return found or b""

    return TileNodes(load)


def last_tiles(tx: Transaction, domain: str, agent: str, size: int) -> dict[int, bytes]:
    """The hashes of each height's last tile, where a log of that size has it partly full."""
    partly: list[tuple[int, int]] = []
    height = 0
    while size:
        if size % WIDTH:
            partly.append((height, size // WIDTH))
        height, size = height + 1, size // WIDTH
    if not partly:
        return {}
    rows = tx.exec(
        select(TileRow.height, TileRow.hashes).where(
            TileRow.domain == domain,
            TileRow.agent == agent,
            tuple_(col(TileRow.height), col(TileRow.place)).in_(partly),
        )
    )
    return dict(rows.all())


def put_tiles(
    tx: Transaction,
    domain: str,
    agent: str,
    tiles: Sequence[Tile],
    last: Container[int],
    stored: Span,
) -> None:
    """Store tiles; the first of each height in `last` was there already, partly full.

    `stored` is of the records that they have now and had not before.
    """
    new: list[dict[str, object]] = []
    fuller: list[dict[str, object]] = []
    heights: set[int] = set()
    for tile in tiles:
        row = {
            "domain": domain,
            "agent": agent,
            "height": tile.height,
            "place": tile.index,
            "hashes": tile.hashes,
            "newest": stored.newest,
        }
        if tile.height in last and tile.height not in heights:
            fuller.append(row)
        else:
            new.append({**row, "oldest": stored.oldest})
        heights.add(tile.height)
    if fuller:
        tx.execute(update(TileRow), fuller)
        if stored.oldest < stored.newest:
            _begin_earlier(tx, domain, agent, fuller, stored.oldest)
    if new:
        tx.execute(insert(TileRow), new)


def _begin_earlier(
    tx: Transaction,
    domain: str,
    agent: str,
    tiles: Sequence[Mapping[str, object]],
    oldest: datetime,
) -> None:
    for tile in tiles:
        tx.execute(
            update(TileRow)
            .where(
                col(TileRow.domain) == domain,
                col(TileRow.agent) == agent,
                col(TileRow.height) == tile["height"],
                col(TileRow.place) == tile["place"],
                col(TileRow.oldest) > oldest,
            )
            .values(oldest=oldest)
        )


def cut(tx: Transaction, domain: str, agent: str, size: int) -> None:
    """Leave of a log's tiles what a log of that size has."""
    own = [col(TileRow.domain) == domain, col(TileRow.agent) == agent]
    highest = tx.exec(
        select(func.max(TileRow.height)).where(TileRow.domain == domain, TileRow.agent == agent)
    ).one()
    for height in range((highest or 0) + 1):
        place, count = divmod(size, WIDTH)
        here = [*own, col(TileRow.height) == height]
        tx.execute(delete(TileRow).where(*here, col(TileRow.place) >= place + bool(count)))
        if count:
            partly = [*here, col(TileRow.place) == place]
            hashes = tx.execute(select(TileRow.hashes).where(*partly)).scalar_one()
            kept = bytes(hashes)[: count * HASH_BYTES]
            tx.execute(update(TileRow).where(*partly).values(hashes=kept))
        size = place


def leaves(tx: Transaction, domain: str, agent: str, after: int, until: int) -> list[bytes]:
    """The leaf hashes of the records after one up to another; short where some are not stored."""
    rows = tx.exec(
        select(TileRow.place, TileRow.hashes)
        .where(
            TileRow.domain == domain,
            TileRow.agent == agent,
            TileRow.height == 0,
            col(TileRow.place).between(after // WIDTH, (until - 1) // WIDTH),
        )
        .order_by(col(TileRow.place))
    ).all()
    hashes: list[bytes] = []
    for place, packed in rows:
        if after // WIDTH + (len(hashes) // WIDTH) != place:
            break
        hashes += split(packed)
    return hashes[after % WIDTH :][: until - after]


def window(
    tx: Transaction, domain: str, agent: str, since: datetime | None, before: datetime | None
) -> tuple[int, int] | None:
    """The first and the last tile with records stored in a window; None without any."""
    query = select(func.min(TileRow.place), func.max(TileRow.place)).where(
        TileRow.domain == domain, TileRow.agent == agent, TileRow.height == 0
    )
    if since is not None:
        query = query.where(col(TileRow.newest) >= since)
    if before is not None:
        query = query.where(col(TileRow.oldest) < before)
    first, last = tx.exec(query).one()
    return None if first is None else (first, last)


def _log(row: LogRow) -> StoredLog:
    return StoredLog(
        domain=row.domain,
        agent=row.agent,
        frontier=Frontier(row.size, tuple(split(row.nodes))),
        witnessed_size=row.witnessed_size,
        verified_size=row.verified_size,
        unfinished=row.unfinished,
        problem=row.problem,
        arrival=row.arrival,
    )
