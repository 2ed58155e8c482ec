"""What a plan shows, and everything it refuses to plan."""

import dataclasses
import pickle
from collections.abc import Mapping
from typing import Any

import pytest

from domain_agent.enforcement.groups import GroupRule
from domain_agent.enforcement.masks import Pseudonyms
from domain_agent.enforcement.plan import (
    DatasetPlan,
    Plan,
    Source,
    SourceColumn,
    plan_dataset,
    plan_statement,
)
from mesh import errors
from mesh.contracts.values import Classification, Column, Contract, Dataset, Server
from mesh.decisions.values import Decision, MaskChoice, RowRule
from mesh.masks import Mask

KEY = bytes(range(32))
COLUMNS = (
    Column("id", "integer", None, Classification.PUBLIC),
    Column('e"mail', "string", None, Classification.RESTRICTED),
    Column("born", "date", "DATE", Classification.CONFIDENTIAL),
)
CONTRACT = Contract(
    "bookings", "reservations", "1.0.0", "x", "active", "t", ("ana",), (), (),
    (Dataset("passengers", "p.parquet", COLUMNS),), Server("data", "parquet"),
)  # fmt: skip
SOURCE = Source(
    "/data/p.parquet",
    "parquet",
    (SourceColumn('e"mail', "VARCHAR"), SourceColumn("id", "BIGINT"), SourceColumn("born", "DATE")),
    "read_parquet('/data/p.parquet')",
)
CLASSES = {"id": "c0", 'e"mail': "c1", "born": "c2"}
DECISION = Decision(
    allow=True,
    masks={
        "c0": MaskChoice(Mask.CLEAR, ()),
        "c1": MaskChoice(Mask.PSEUDONYM, ()),
        "c2": MaskChoice(Mask.DROP, ()),
    },
    rows=(RowRule("library.role", {"column": "born", "op": "ge", "value": "2000-01-01"}),),
    limits={"rows": 1000},
)


def planned(
    source: Source = SOURCE, classes: Mapping[str, str] = CLASSES, **changed: Any
) -> DatasetPlan:
    decision = dataclasses.replace(DECISION, **changed)
    return plan_dataset(CONTRACT, "passengers", decision, classes, source)


def test_a_plan_masks_in_the_projection_and_filters_on_raw_values() -> None:
    assert planned().select(Pseudonyms("pt", "pn")) == (
        'SELECT raw."id" AS "id", pt(raw."e""mail") AS "e""mail"'
        " FROM read_parquet('/data/p.parquet') AS raw"
        " WHERE (raw.\"born\" >= CAST('2000-01-01' AS DATE))"
    )


def test_plans_are_equal_hashable_and_travel() -> None:
    plan = plan_statement("bookings", [(planned(), KEY)])
    again = plan_statement("bookings", [(planned(), bytes(KEY))])
    assert plan == again
    assert hash(plan) == hash(again)
    assert plan.key == again.key
    assert pickle.loads(pickle.dumps(plan)) == plan  # noqa: S301 - our own bytes
    assert plan.row_limit == 1000


def test_every_difference_changes_the_key() -> None:
    plans = [
        plan_statement("bookings", [(planned(), KEY)]),
        plan_statement("bookings", [(planned(), bytes(32))]),
        plan_statement("other", [(planned(), KEY)]),
        plan_statement("bookings", [(planned(rows=()), KEY)]),
        plan_statement("bookings", [(planned(limits={}), KEY)]),
        plan_statement("bookings", [(planned(limits={"rows": 0}), KEY)]),
        plan_statement("bookings", [(planned(limits={"group": 5}), KEY)]),
        plan_statement("bookings", [(planned(limits={"group": 6}), KEY)]),
        plan_statement(
            "bookings", [(planned(masks={**DECISION.masks, "c0": MaskChoice(Mask.NULL, ())}), KEY)]
        ),
        plan_statement(
            "bookings", [(planned(dataclasses.replace(SOURCE, path="/data/q.parquet")), KEY)]
        ),
    ]
    assert len({plan.key for plan in plans}) == len(plans)


def test_no_text_about_a_plan_holds_its_keys() -> None:
    plan = plan_statement("bookings", [(planned(), KEY)])
    for text in (repr(plan), plan.key, plan.datasets[0].select(Pseudonyms("pt", "pn"))):
        assert KEY.hex() not in text
        assert repr(KEY)[2:-1] not in text


def test_a_key_that_nothing_needs_is_left_out() -> None:
    masks = {**DECISION.masks, "c1": MaskChoice(Mask.NULL, ())}
    assert plan_statement("bookings", [(planned(masks=masks), KEY)]).keys == (None,)


@pytest.mark.parametrize("key", [None, b"", b"short", bytes(33)])
def test_pseudonyms_need_a_whole_key(key: bytes | None) -> None:
    with pytest.raises(errors.MaskUnsupported):
        plan_statement("bookings", [(planned(), key)])


def test_a_statement_has_each_dataset_once() -> None:
    for pairs in ([], [(planned(), KEY)] * 2):
        with pytest.raises(errors.PolicyError):
            plan_statement("bookings", pairs)


def test_the_smallest_row_limit_counts() -> None:
    other = dataclasses.replace(planned(limits={"rows": 7}), dataset="bookings")
    free = dataclasses.replace(planned(limits={}), dataset="free")
    plan = plan_statement("bookings", [(planned(), KEY), (other, KEY), (free, KEY)])
    assert plan.row_limit == 7
    assert plan_statement("bookings", [(free, KEY)]).row_limit is None


def test_a_group_without_declared_persons_is_of_rows() -> None:
    assert planned(limits={"group": 5}).group == GroupRule(5, ())
    assert planned(limits={"rows": 5}).group is None


def with_key(*names: str) -> Contract:
    columns = tuple(dataclasses.replace(c, subject_key=c.name in names) for c in COLUMNS)
    return dataclasses.replace(CONTRACT, datasets=(Dataset("passengers", "p.parquet", columns),))


def grouped(contract: Contract, mask: Mask) -> DatasetPlan:
    masks = {**DECISION.masks, "c1": MaskChoice(mask, ())}
    decision = dataclasses.replace(DECISION, limits={"group": 5}, masks=masks)
    return plan_dataset(contract, "passengers", decision, CLASSES, SOURCE)


@pytest.mark.parametrize("mask", [Mask.CLEAR, Mask.PSEUDONYM])
def test_persons_are_counted_where_the_mask_keeps_them_apart(mask: Mask) -> None:
    assert grouped(with_key('e"mail'), mask).group == GroupRule(5, ('e"mail',))
    assert grouped(with_key('e"mail', "id"), mask).group == GroupRule(5, ("id", 'e"mail'))


@pytest.mark.parametrize("mask", [Mask.PARTIAL, Mask.CONSTANT, Mask.NULL, Mask.DROP])
def test_persons_that_a_mask_makes_one_are_not_counted(mask: Mask) -> None:
    with pytest.raises(errors.LimitUnsupported, match="subjectKey"):
        grouped(with_key('e"mail'), mask)
    with pytest.raises(errors.LimitUnsupported, match="subjectKey"):
        grouped(with_key("id", 'e"mail'), mask)


def choice(mask: object) -> dict[str, MaskChoice]:
    return {**DECISION.masks, "c2": MaskChoice(mask, ())}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"allow": False}, errors.PolicyError),
        ({"reasons": ("agreement.missing",)}, errors.PolicyError),
        ({"masks": {}}, errors.PolicyError),
        ({"masks": {"c0": DECISION.masks["c0"]}}, errors.PolicyError),
        ({"masks": choice("blur")}, errors.MaskUnsupported),
        ({"masks": choice("")}, errors.MaskUnsupported),
        ({"masks": choice(Mask.PARTIAL)}, errors.MaskUnsupported),
        ({"masks": choice(Mask.PSEUDONYM)}, errors.MaskUnsupported),
        (
            {"masks": dict.fromkeys(("c0", "c1", "c2"), MaskChoice(Mask.DROP, ()))},
            errors.MaskUnsupported,
        ),
        ({"rows": (RowRule("r", {}),)}, errors.FilterUnsupported),
        ({"rows": (RowRule("r", {"sql": "1=1"}),)}, errors.FilterUnsupported),
        (
            {"rows": (RowRule("r", {"column": "nope", "op": "eq", "value": 1}),)},
            errors.FilterUnsupported,
        ),
        (
            {"rows": (RowRule("r", {"column": "ID", "op": "eq", "value": 1}),)},
            errors.FilterUnsupported,
        ),
        (
            {"rows": (RowRule("r", {"column": "id", "op": "like", "value": 1}),)},
            errors.FilterUnsupported,
        ),
        (
            {"rows": (RowRule("r", {"column": "id", "op": "eq", "value": "1"}),)},
            errors.FilterUnsupported,
        ),
        ({"limits": {"rows": 1, "bytes": 5}}, errors.LimitUnsupported),
        ({"limits": {"rows": -1}}, errors.LimitUnsupported),
        ({"limits": {"rows": True}}, errors.LimitUnsupported),
        ({"limits": {"rows": 1.5}}, errors.LimitUnsupported),
        ({"limits": {"rows": None}}, errors.LimitUnsupported),
        ({"limits": {"group": 1}}, errors.LimitUnsupported),
        ({"limits": {"group": True}}, errors.LimitUnsupported),
        ({"limits": {"group": 2.5}}, errors.LimitUnsupported),
        ({"limits": {"group": None}}, errors.LimitUnsupported),
    ],
)
def test_what_cannot_be_applied_refuses(
    changed: dict[str, Any], error: type[errors.MeshError]
) -> None:
    with pytest.raises(error):
        planned(**changed)


def test_a_refused_filter_does_not_tell_its_values() -> None:
    secret = "4711-secret"
    for filter_ in (
        {"column": "id", "op": "eq", "value": secret},
        {"column": "id", "op": "is_null", "value": secret},
        {"column": "id", "op": secret, "value": 1},
    ):
        with pytest.raises(errors.FilterUnsupported) as refused:
            planned(rows=(RowRule("organisation.x", filter_),))
        assert secret not in refused.value.message
        assert "organisation.x" in refused.value.message


def test_an_unclassified_column_refuses() -> None:
    with pytest.raises(errors.ColumnUnclassified):
        planned(classes={"id": "c0", "born": "c2"})


def test_an_unknown_dataset_refuses() -> None:
    with pytest.raises(errors.DatasetNotFound):
        plan_dataset(CONTRACT, "nope", DECISION, CLASSES, SOURCE)


ID, MAIL, BORN = SOURCE.columns[1], SOURCE.columns[0], SOURCE.columns[2]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ((ID, MAIL), "'born' is missing"),
        ((ID, MAIL, BORN, SourceColumn("hidden_extra", "VARCHAR")), "1 columns are not declared"),
        ((ID, MAIL, SourceColumn("Born", "DATE")), "'born' is missing"),
        ((ID, MAIL, SourceColumn("born", "TIMESTAMP")), "'born' is TIMESTAMP, declared DATE"),
        ((SourceColumn("id", "DOUBLE"), MAIL, BORN), "'id' is DOUBLE, declared integer"),
        ((ID, ID, MAIL, BORN), "two columns of one name"),
        ((ID, SourceColumn("ID", "BIGINT"), MAIL, BORN), "two columns of one name"),
    ],
)
def test_a_source_that_differs_from_the_contract_refuses(
    columns: tuple[SourceColumn, ...], says: str
) -> None:
    with pytest.raises(errors.SourceDrift, match=says) as refused:
        planned(source=dataclasses.replace(SOURCE, columns=columns))
    assert "hidden_extra" not in refused.value.message


def test_a_plan_needs_no_order_of_columns() -> None:
    turned = dataclasses.replace(SOURCE, columns=tuple(reversed(SOURCE.columns)))
    assert [column.name for column in planned(source=turned).columns] == ["id", 'e"mail']
    assert isinstance(plan_statement("bookings", [(planned(source=turned), KEY)]), Plan)
