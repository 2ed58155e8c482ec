"""The contracts' table: the published text beside what was read from it."""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache

from sqlalchemy import BigInteger, Column, func, update
from sqlmodel import Field, SQLModel, col, select

from control_plane.contracts.rules import Published
from control_plane.database import Instant, Transaction
from mesh.contracts.parse import read_contract
from mesh.contracts.values import Contract


class ContractRow(SQLModel, table=True):
    __tablename__ = "contract"
    domain: str = Field(primary_key=True)
    product: str = Field(primary_key=True)
    version: str = Field(primary_key=True)
    document: bytes
    digest: bytes
    publisher: str
    published: datetime = Field(sa_column=Column(Instant, nullable=False))
    revision: int = Field(sa_type=BigInteger)


def add(tx: Transaction, published: Published) -> None:
    """Store a contract version."""
    contract = published.contract
    tx.add(
        ContractRow(
            domain=contract.domain,
            product=contract.product,
            version=contract.version,
            document=published.document,
            digest=published.digest,
            publisher=published.publisher,
            published=published.published,
            revision=published.revision,
        )
    )
    tx.flush()


def find(tx: Transaction, domain: str, product: str, version: str) -> Published | None:
    """One version; the newest published one when `version` is empty."""
    query = select(ContractRow).where(ContractRow.domain == domain, ContractRow.product == product)
    if version:
        query = query.where(ContractRow.version == version)
    row = tx.exec(query.order_by(col(ContractRow.revision).desc()).limit(1)).first()
    return None if row is None else _published(row)


def versions(tx: Transaction, domain: str, product: str) -> list[str]:
    """The versions of a product, newest published first."""
    query = (
        select(ContractRow.version)
        .where(ContractRow.domain == domain, ContractRow.product == product)
        .order_by(col(ContractRow.revision).desc())
    )
    return list(tx.exec(query))


def since(tx: Transaction, domain: str, product: str, revision: int) -> list[Contract]:
    """What somebody may go by who was at a revision: the newest contract of then, and all later."""
    mine = (ContractRow.domain == domain, ContractRow.product == product)
    then = select(func.max(ContractRow.revision)).where(*mine, ContractRow.revision <= revision)
    query = select(ContractRow.document).where(
        *mine, col(ContractRow.revision) >= func.coalesce(then.scalar_subquery(), 0)
    )
    return [_read(document) for document in tx.exec(query)]


def products(
    tx: Transaction, domain: str = "", after: str = "", limit: int | None = None
) -> Iterator[Published]:
    """The newest contract of each product, by `domain.product`, after one."""
    newest = select(func.max(ContractRow.revision)).group_by(
        col(ContractRow.domain), col(ContractRow.product)
    )
    query = select(ContractRow).where(col(ContractRow.revision).in_(newest))
    if domain:
        query = query.where(ContractRow.domain == domain)
    if after:
        query = query.where(col(ContractRow.domain) + "." + col(ContractRow.product) > after)
    query = query.order_by(col(ContractRow.domain) + "." + col(ContractRow.product))
    for row in tx.exec(query.limit(limit)):
        yield _published(row)


def count_products(tx: Transaction) -> int:
    """How many products have a contract."""
    distinct = select(ContractRow.domain, ContractRow.product).distinct().subquery()
    return tx.exec(select(func.count()).select_from(distinct)).one()


def _published(row: ContractRow) -> Published:
    return Published(
        contract=_read(row.document),
        document=row.document,
        digest=row.digest,
        publisher=row.publisher,
        published=row.published,
        revision=row.revision,
    )


@lru_cache(maxsize=1_024)
def _read(document: bytes) -> Contract:
    """A text is read once, as reading takes milliseconds."""
    return read_contract(document)


def erase_publisher(tx: Transaction, principal: str, blank: str) -> None:
    """Put something else where a publisher's name stood. Published documents stay as they are."""
    named = col(ContractRow.publisher) == principal
    tx.execute(update(ContractRow).where(named).values(publisher=blank))
