"""Which masks fit which columns: types, the library's floors, and what a column ends up with."""

from mesh.contracts.types import Family, canonical, family_of
from mesh.contracts.values import Classification, Column
from mesh.masks import Mask, strictness

_EVERY = frozenset(Family)
_FITS = {
    Mask.CLEAR: _EVERY,
    Mask.GENERALISE: frozenset({Family.DATE, Family.TIMESTAMP, Family.INTEGER, Family.NUMBER}),
    Mask.PARTIAL: frozenset({Family.TEXT}),
    Mask.PSEUDONYM: frozenset({Family.TEXT, Family.INTEGER}),
    Mask.CONSTANT: _EVERY - {Family.TIME, Family.OTHER},
    Mask.NULL: _EVERY,
    Mask.DROP: _EVERY,
}
_FLOORS = {
    Classification.PUBLIC: Mask.CLEAR,
    Classification.INTERNAL: Mask.CLEAR,
    Classification.CONFIDENTIAL: Mask.GENERALISE,
    Classification.RESTRICTED: Mask.PSEUDONYM,
}
_UNDECLARED = {
    Classification.PUBLIC: Mask.CLEAR,
    Classification.INTERNAL: Mask.CLEAR,
    Classification.CONFIDENTIAL: Mask.NULL,
    Classification.RESTRICTED: Mask.DROP,
}


def masks_fitting(logical_type: str, physical_type: str | None) -> tuple[Mask, ...]:
    """The masks that can be applied to such a column, mildest first."""
    family = family_of(logical_type, physical_type)
    fitting = [mask for mask in Mask if family in _FITS[mask]]
    # Pseudonyms of whole numbers have 63 bits.
    narrow = physical_type is not None and canonical(physical_type) != "BIGINT"
    if family is Family.INTEGER and narrow:
        fitting.remove(Mask.PSEUDONYM)
    return tuple(fitting)


def least_mask(classification: Classification, declared: Mask | None) -> Mask:
    """The mask that the library gives a column at least: its floor, or stricter as declared."""
    if declared is None:
        return _UNDECLARED[classification]
    return max(_FLOORS[classification], declared, key=strictness)


def column_mask(column: Column) -> Mask:
    """The mask that the library gives this column at least."""
    return least_mask(column.classification, Mask(column.mask) if column.mask else None)


def stricter(one: Mask, other: Mask) -> bool:
    """Whether one tells less than the other."""
    return strictness(one) > strictness(other)
