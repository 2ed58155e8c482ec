"""Which masks fit which columns, and what the library makes of them."""

import pytest

from mesh.contracts.masks import column_mask, least_mask, masks_fitting, stricter
from mesh.contracts.types import Family, family_of, types_agree
from mesh.contracts.values import Classification, Column
from mesh.masks import Mask

ALWAYS = {Mask.CLEAR, Mask.NULL, Mask.DROP}


@pytest.mark.parametrize(
    ("logical", "physical", "more"),
    [
        ("string", None, {Mask.PARTIAL, Mask.PSEUDONYM, Mask.CONSTANT}),
        ("string", "VARCHAR(20)", {Mask.PARTIAL, Mask.PSEUDONYM, Mask.CONSTANT}),
        ("string", "UUID", set()),
        ("string", "VARCHAR[]", set()),
        ("integer", None, {Mask.GENERALISE, Mask.PSEUDONYM, Mask.CONSTANT}),
        ("integer", "bigint", {Mask.GENERALISE, Mask.PSEUDONYM, Mask.CONSTANT}),
        ("integer", "INTEGER", {Mask.GENERALISE, Mask.CONSTANT}),
        ("integer", "HUGEINT", {Mask.GENERALISE, Mask.CONSTANT}),
        ("number", "DECIMAL(9,2)", {Mask.GENERALISE, Mask.CONSTANT}),
        ("number", "DECIMAL(9, 2)[]", set()),
        ("boolean", "BOOLEAN", {Mask.CONSTANT}),
        ("date", "DATE", {Mask.GENERALISE, Mask.CONSTANT}),
        ("timestamp", "TIMESTAMP WITH TIME ZONE", {Mask.GENERALISE, Mask.CONSTANT}),
        ("time", "TIME", set()),
        ("array", None, set()),
        ("object", "STRUCT(a INTEGER)", set()),
    ],
)
def test_a_mask_keeps_the_columns_type(logical: str, physical: str | None, more: set[Mask]) -> None:
    assert set(masks_fitting(logical, physical)) == ALWAYS | more


@pytest.mark.parametrize(
    ("classification", "declared", "least"),
    [
        ("public", None, Mask.CLEAR),
        ("internal", "partial", Mask.PARTIAL),
        ("confidential", None, Mask.NULL),
        ("confidential", "clear", Mask.GENERALISE),
        ("confidential", "partial", Mask.PARTIAL),
        ("restricted", None, Mask.DROP),
        ("restricted", "partial", Mask.PSEUDONYM),
        ("restricted", "constant", Mask.CONSTANT),
    ],
)
def test_a_declared_mask_is_raised_to_the_floor(
    classification: str, declared: str | None, least: Mask
) -> None:
    mask = Mask(declared) if declared else None
    column = Column("x", "string", None, Classification(classification), mask=declared)

    assert least_mask(Classification(classification), mask) is least
    assert column_mask(column) is least


def test_masks_are_ordered_from_clear_to_drop() -> None:
    order = list(Mask)
    for index, mask in enumerate(order):
        assert [stricter(mask, other) for other in order] == [i < index for i in range(len(order))]


def test_a_number_may_be_stored_as_an_integer_but_no_text_as_a_date() -> None:
    assert types_agree("number", "INTEGER")
    assert not types_agree("integer", "DOUBLE")
    assert not types_agree("string", "DATE")
    assert types_agree("string", "UUID")
    assert types_agree("array", "VARCHAR")
    assert family_of("string", "timestamp") is Family.TIMESTAMP
    assert family_of("string", "MAP(VARCHAR, INTEGER)") is Family.OTHER
    assert family_of("date", None) is Family.DATE
