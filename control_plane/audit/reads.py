"""What is counted of reads: each one's datasets, and by which groups they are summed up."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from control_plane.timeline.rules import Read, check_window, check_words, class_bits
from mesh.contracts.values import Classification
from mesh.errors import RequestInvalid
from mesh.times import rfc3339

MAX_GROUPS = 10_000
DEFAULT_GROUPS = 100
MAX_DIMENSIONS = 3
# Sums of half a million of these still are 64-bit integers, whatever an agent claims.
MOST_COUNTED = 1 << 44
# Beside the bits of classifications: without any, and the first of its kind.
UNCLASSIFIED = 1 << len(Classification)
FIRST = UNCLASSIFIED << 1
CLASSES: Mapping[int, str] = {
    UNCLASSIFIED: "",
    **{class_bits((one,)): one.value for one in Classification},
}


class Dimension(StrEnum):
    """What reads are grouped by, in the order of their numbers on the wire."""

    ACTOR = "actor"
    PRODUCT = "product"
    CLASSIFICATION = "classification"
    PURPOSE = "purpose"
    OUTCOME = "outcome"
    HOUR = "hour"
    DAY = "day"

    @property
    def seconds(self) -> int:
        """The length of a dimension of time; 0 of the others."""
        return {Dimension.HOUR: 3_600, Dimension.DAY: 86_400}.get(self, 0)


@dataclass(frozen=True, slots=True)
class Touched:
    """One dataset that a statement names, and how its columns that were read are classified."""

    product: str
    dataset: str
    classifications: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Part:
    """What is indexed of one dataset of a read.

    A read counts once in a group, however many of its datasets are in it. So each dataset has
    only the bits that no earlier one of the read has, and of those of the same product.
    """

    number: int
    product: str
    dataset: str
    product_classes: int
    read_classes: int


@dataclass(frozen=True, slots=True)
class IndexedRead:
    """A read as of its latest event, with what it touched."""

    read: Read
    bytes: int
    parts: tuple[Part, ...]

    @property
    def outcome(self) -> str:
        """Started, completed, aborted or refused."""
        return self.read.action.removeprefix("read.")

    @property
    def rows(self) -> int:
        """The rows, as far as they can be true."""
        return counted(self.read.rows)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which reads; an empty field selects all."""

    actor: str = ""
    product: str = ""
    classification: str = ""
    purpose: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        check_words(self.outcome, self.classification)
        check_window(self.since, self.until)


@dataclass(frozen=True, slots=True)
class ReadGroup:
    """Reads that share their dimensions."""

    values: tuple[str, ...]
    reads: int
    refused: int
    rows: int
    bytes: int
    first: datetime
    last: datetime


def parts_of(touched: Sequence[Touched]) -> tuple[Part, ...]:
    """The parts of one read; a read that names no dataset has one all the same."""
    of_read = 0
    of_products: dict[str, int] = {}
    parts = []
    for number, one in enumerate(touched or [Touched("", "")]):
        bits = FIRST | (class_bits(one.classifications) or UNCLASSIFIED)
        of_product = of_products.get(one.product, 0)
        parts.append(Part(number, one.product, one.dataset, bits & ~of_product, bits & ~of_read))
        of_read |= bits
        of_products[one.product] = of_product | bits
    return tuple(parts)


def counted(number: int) -> int:
    """A count as the index takes it: not negative, and not so large that sums overflow."""
    return min(max(number, 0), MOST_COUNTED)


def checked_dimensions(numbers: Iterable[int]) -> tuple[Dimension, ...]:
    """One to three by their numbers on the wire, each once. Raises RequestInvalid."""
    known = dict(enumerate(Dimension, start=1))
    given = tuple(known.get(number) for number in numbers)
    found = tuple(one for one in given if one is not None)
    if not 1 <= len(given) <= MAX_DIMENSIONS or len(set(found)) < len(given):
        raise RequestInvalid(
            f"dimensions are one to {MAX_DIMENSIONS} different ones of {', '.join(Dimension)}",
            field="dimensions",
        )
    return found


def group_limit(limit: int) -> int:
    """How many groups. Raises RequestInvalid for a negative number or more than 10,000."""
    if not 0 <= limit <= MAX_GROUPS:
        raise RequestInvalid(
            f"limit is {limit}; it is at most {MAX_GROUPS:,}, and 0 means {DEFAULT_GROUPS}",
            field="limit",
        )
    return limit or DEFAULT_GROUPS


def written(dimension: Dimension, value: str | int) -> str:
    """A group's value as it is shown; times and classes are numbers in the index."""
    if isinstance(value, str):
        return value
    if dimension is Dimension.CLASSIFICATION:
        return CLASSES[value]
    instant = datetime.fromtimestamp(value * dimension.seconds, UTC)
    return rfc3339(instant) if dimension is Dimension.HOUR else instant.date().isoformat()
