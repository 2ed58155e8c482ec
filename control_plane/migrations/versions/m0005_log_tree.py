"""Each agent's log as a Merkle tree, and what agents signed of theirs."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from control_plane.migrations.columns import TEXT
from mesh.evidence.merkle import Frontier, leaf_hash

revision = "0005"
down_revision = "0004"

_WIDTH = 256


def upgrade() -> None:
    """Create the tables, and the trees of what is stored already."""
    log = op.create_table(
        "log",
        sa.Column("domain", TEXT, primary_key=True),
        sa.Column("agent", TEXT, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("nodes", sa.LargeBinary, nullable=False),
        sa.Column("witnessed_size", sa.BigInteger, nullable=False),
        sa.Column("verified_size", sa.BigInteger, nullable=False),
        sa.Column("unfinished", sa.BigInteger, nullable=False),
        sa.Column("problem", TEXT, nullable=False),
        sa.Column("arrival", sa.BigInteger),
    )
    tile = op.create_table(
        "log_tile",
        sa.Column("domain", TEXT, primary_key=True),
        sa.Column("agent", TEXT, primary_key=True),
        sa.Column("height", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
        sa.Column("oldest", sa.BigInteger, nullable=False),
        sa.Column("newest", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "log_checkpoint",
        sa.Column("domain", TEXT, primary_key=True),
        sa.Column("agent", TEXT, primary_key=True),
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary, primary_key=True),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("arrival", sa.BigInteger, nullable=False),
        sa.Column("standing", TEXT, nullable=False),
    )
    op.create_index(
        "log_checkpoint_by_standing", "log_checkpoint", ["domain", "agent", "standing", "size"]
    )
    agents = sa.text("SELECT DISTINCT domain, agent FROM usage_event")
    for domain, agent in op.get_bind().execute(agents).all():
        _plant(log, tile, domain, agent)


def downgrade() -> None:
    """Drop the tables; the events stay."""
    for table in ("log_checkpoint", "log_tile", "log"):
        op.drop_table(table)


def _plant(log: sa.Table, tile: sa.Table, domain: str, agent: str) -> None:
    name = {"domain": domain, "agent": agent}
    frontier, newest = Frontier(), 0
    above: list[tuple[bytes, int, int]] = []
    for place, rows in enumerate(_tiles(domain, agent)):
        leaves = [leaf_hash(document) for document, _ in rows]
        times = [stored for _, stored in rows]
        frontier, newest = frontier.extend(leaves), max(newest, *times)
        span = min(times), max(times)
        _insert(tile, name, 0, place, leaves, span)
        if len(leaves) == _WIDTH:
            above.append((Frontier().extend(leaves).root, *span))
    height = 1
    while above:
        pieces = [above[at : at + _WIDTH] for at in range(0, len(above), _WIDTH)]
        above = []
        for place, piece in enumerate(pieces):
            hashes = [root for root, _, _ in piece]
            span = min(first for _, first, _ in piece), max(last for _, _, last in piece)
            _insert(tile, name, height, place, hashes, span)
            if len(hashes) == _WIDTH:
                above.append((Frontier().extend(hashes).root, *span))
        height += 1
    row = {
        "size": frontier.size,
        "nodes": b"".join(frontier.nodes),
        "witnessed_size": 0,
        "verified_size": 0,
        "unfinished": _unfinished(domain, agent),
        "problem": "",
        "arrival": newest,
    }
    op.bulk_insert(log, [{**name, **row}])


def _insert(
    tile: sa.Table,
    name: dict[str, str],
    height: int,
    place: int,
    hashes: list[bytes],
    span: tuple[int, int],
) -> None:
    row = {"height": height, "place": place, "hashes": b"".join(hashes)}
    op.bulk_insert(tile, [{**name, **row, "oldest": span[0], "newest": span[1]}])


def _unfinished(domain: str, agent: str) -> int:
    query = sa.text(
        "SELECT count(*) FROM receipt"
        " WHERE domain = :domain AND agent = :agent AND state = 'started'"
    )
    count: int = op.get_bind().execute(query, {"domain": domain, "agent": agent}).scalar_one()
    return count


def _tiles(domain: str, agent: str) -> Iterator[list[tuple[bytes, int]]]:
    """The stored documents with their times, 256 at a time."""
    query = sa.text(
        "SELECT document, stored FROM usage_event WHERE domain = :domain AND agent = :agent"
        " AND sequence > :after ORDER BY sequence LIMIT :limit"
    )
    after = 0
    while True:
        wanted = {"domain": domain, "agent": agent, "after": after, "limit": _WIDTH}
        rows = op.get_bind().execute(query, wanted).all()
        if rows:
            yield [(bytes(document), stored) for document, stored in rows]
        if len(rows) < _WIDTH:
            return
        after += _WIDTH
