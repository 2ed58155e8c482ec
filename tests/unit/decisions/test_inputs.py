"""The input document: what policies see of a read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mesh.agreements.values import Agreement, AgreementState
from mesh.contracts.values import Classification, Column, Contract, Dataset, Role, Server
from mesh.decisions.inputs import ReadRequest, decision_input
from mesh.errors import DatasetNotFound, PolicyError
from mesh.identity.principal import Principal, PrincipalKind
from tests.unit.decisions.examples import agreement as agreement_document
from tests.unit.decisions.examples import reading


def column(
    name: str, classification: Classification, category: str | None = None, mask: str | None = None
) -> Column:
    tags = ("pii",) if category else ()
    return Column(name, "string", None, classification, category, tags, mask)


COLUMNS = (
    column("note", Classification.PUBLIC, None, "clear"),
    column("email", Classification.CONFIDENTIAL, "contact", "partial"),
    column("passport", Classification.RESTRICTED, "identity"),
    column("phone", Classification.CONFIDENTIAL, "contact", "partial"),
    column("mobile", Classification.CONFIDENTIAL, "contact"),
    column("seat", Classification.INTERNAL),
    column("id", Classification.RESTRICTED, "identity", "pseudonym"),
)
FILTER = {"column": "origin", "op": "eq", "value": "JFK"}
CONTRACT = Contract(
    domain="bookings",
    product="reservations",
    version="1.0.0",
    contract_id="c",
    status="active",
    title="Reservations",
    owners=("olga",),
    purposes=("crew-planning",),
    roles=(Role("analyst", row_filter=FILTER), Role("all")),
    datasets=(Dataset("passengers", "p.parquet", COLUMNS),),
    server=Server("data", "parquet"),
    residency="eu",
    legal_basis="contract",
)
AGREEMENT = Agreement(
    id="0190d3c8-0000-7000-8000-000000000001",
    domain="bookings",
    product="reservations",
    contract_version="1.0.0",
    consumer="user:ana",
    role="analyst",
    purpose="crew-planning",
    datasets=("passengers",),
    justification="",
    requester="user:ana",
    state=AgreementState.ACTIVE,
    requested=datetime(2026, 10, 1, tzinfo=UTC),
    decided=datetime(2026, 11, 1, 0, 0, 0, 999_999, tzinfo=UTC),
    expires=datetime(2027, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
)
REQUEST = ReadRequest(
    principal=Principal(PrincipalKind.USER, "ana", ("ops",), ("auditor",)),
    purpose="crew-planning",
    now=datetime(2026, 11, 24, 22, 0, 0, 500_000, tzinfo=UTC),
    agent_domain="bookings",
    agent_id="bookings-1",
)


def test_the_document_is_the_whole_of_what_policies_see() -> None:
    made = decision_input(REQUEST, CONTRACT, "passengers", AGREEMENT)

    expected = reading(agreement=agreement_document())
    classes = expected["dataset"]
    assert isinstance(classes, dict)
    in_order = sorted(
        classes["classes"],
        key=lambda c: (c["classification"], c["category"] or "", c["mask"] is not None),
    )
    classes["classes"] = [c | {"id": f"c{number}"} for number, c in enumerate(in_order)]
    assert made.document == expected


def test_columns_alike_share_a_class() -> None:
    made = decision_input(REQUEST, CONTRACT, "passengers", AGREEMENT)

    assert made.classes == {
        "mobile": "c0",
        "email": "c1",
        "phone": "c1",
        "seat": "c2",
        "note": "c3",
        "passport": "c4",
        "id": "c5",
    }


def test_the_order_of_columns_tags_and_teams_changes_nothing() -> None:
    turned = replace(
        CONTRACT,
        datasets=(
            replace(
                CONTRACT.datasets[0],
                columns=tuple(replace(c, tags=c.tags[::-1] + c.tags) for c in COLUMNS[::-1]),
            ),
        ),
    )
    teams = Principal(PrincipalKind.USER, "ana", ("b", "a"))
    other = Principal(PrincipalKind.USER, "ana", ("a", "b"))

    assert (
        decision_input(replace(REQUEST, principal=teams), turned, "passengers", None).document
        == decision_input(replace(REQUEST, principal=other), CONTRACT, "passengers", None).document
    )


def test_without_an_agreement_there_is_null() -> None:
    assert decision_input(REQUEST, CONTRACT, "passengers", None).document["agreement"] is None


def test_a_role_without_a_filter_has_null() -> None:
    made = decision_input(REQUEST, CONTRACT, "passengers", replace(AGREEMENT, role="all"))

    assert made.document["agreement"] == agreement_document(role="all", row_filter=None)


def test_a_role_that_the_contract_lost_is_refused_and_not_unfiltered() -> None:
    with pytest.raises(PolicyError, match="no role gone"):
        decision_input(REQUEST, CONTRACT, "passengers", replace(AGREEMENT, role="gone"))


def test_an_agreement_begins_when_it_was_asked_for_if_nobody_decided() -> None:
    made = decision_input(REQUEST, CONTRACT, "passengers", replace(AGREEMENT, decided=None))

    assert made.document["agreement"] == agreement_document(start="2026-10-01T00:00:00Z")


def test_an_unknown_dataset_is_not_found() -> None:
    with pytest.raises(DatasetNotFound, match="no dataset crew"):
        decision_input(REQUEST, CONTRACT, "crew", AGREEMENT)


@pytest.mark.parametrize(("count", "fits"), [(32, True), (33, False)])
def test_policies_see_at_most_32_classes(count: int, fits: bool) -> None:
    columns = tuple(
        Column(f"c{n}", "string", None, Classification.INTERNAL, f"k{n}") for n in range(count)
    )
    wide = replace(CONTRACT, datasets=(Dataset("wide", "w.parquet", columns),))

    if fits:
        assert len(decision_input(REQUEST, wide, "wide", None).classes) == count
    else:
        with pytest.raises(PolicyError, match="33 distinct column classes"):
            decision_input(REQUEST, wide, "wide", None)
