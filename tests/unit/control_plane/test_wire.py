"""Translations to the wire and back, and what is refused on the way in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.agreements.values import AgreementState
from mesh.contracts.values import Role
from mesh.errors import RequestInvalid
from mesh.identity.principal import Principal, PrincipalKind
from mesh.v1 import agreements_pb2, identity_pb2
from mesh.wire.agreements import agreement_from_proto, agreement_to_proto, state_from_proto
from mesh.wire.contracts import contract_to_proto
from mesh.wire.principals import principal_from_proto, principal_to_proto
from mesh.wire.times import from_duration, from_timestamp, to_duration, to_timestamp
from tests.unit.agreements.scenes import CONTRACT, asked

INSTANTS = st.datetimes(timezones=st.just(UTC))


@settings(deadline=None)
@given(
    st.sampled_from(AgreementState),
    INSTANTS,
    st.none() | INSTANTS,
    st.text(max_size=20),
    st.integers(0, 2**62),
)
def test_an_agreement_survives_the_wire(
    state: AgreementState, expires: datetime, ended: datetime | None, note: str, revision: int
) -> None:
    agreement = replace(
        asked(),
        state=state,
        expires=expires,
        ended=ended,
        decided=ended,
        decider="user:olga" if ended else None,
        ender=None,
        note=note,
        revision=revision,
    )
    sent = agreement_to_proto(agreement).SerializeToString()
    assert agreement_from_proto(agreements_pb2.Agreement.FromString(sent)) == agreement


@pytest.mark.parametrize("number", [0, 7, 99])
def test_an_agreement_without_a_known_state_is_refused(number: int) -> None:
    message = agreement_to_proto(asked())
    message.state = number  # type: ignore[assignment]
    with pytest.raises(RequestInvalid):
        agreement_from_proto(message)


def test_an_unspecified_state_selects_all() -> None:
    assert state_from_proto(agreements_pb2.AGREEMENT_STATE_UNSPECIFIED) is None


@settings(deadline=None)
@given(INSTANTS)
def test_an_instant_survives_the_wire(instant: datetime) -> None:
    assert from_timestamp(to_timestamp(instant), "time") == instant


@pytest.mark.parametrize("seconds", [2**62, -(2**62)])
def test_an_instant_that_no_calendar_holds_is_refused(seconds: int) -> None:
    with pytest.raises(RequestInvalid):
        from_timestamp(Timestamp(seconds=seconds), "time")
    with pytest.raises(RequestInvalid):
        from_duration(Duration(seconds=seconds), "lifetime")


def test_a_length_survives_the_wire() -> None:
    length = timedelta(hours=3, microseconds=7)
    assert from_duration(to_duration(length), "lifetime") == length


def test_a_principal_survives_the_wire_and_kinds_are_three() -> None:
    ana = Principal(PrincipalKind.USER, "ana", ("a", "b"), ("admin",))
    assert principal_from_proto(principal_to_proto(ana)) == ana
    doubled = identity_pb2.Principal(kind="user", subject="ana", teams=["b", "a", "b"])
    assert principal_from_proto(doubled).teams == ("a", "b")
    with pytest.raises(RequestInvalid):
        principal_from_proto(identity_pb2.Principal(kind="root", subject="ana"))


def test_a_contract_shows_what_it_declares() -> None:
    row_filter = {"value": "eu", "op": "eq", "column": "id"}
    message = contract_to_proto(replace(CONTRACT, roles=(Role("eu", "", row_filter),)))
    assert (message.domain, message.product, message.version) == (
        "bookings",
        "reservations",
        "1.0.0",
    )
    assert list(message.owners) == ["olga", "team:bookings_team"]
    assert message.roles[0].row_filter == '{"column":"id","op":"eq","value":"eu"}'
    assert [dataset.name for dataset in message.datasets] == ["passengers", "bookings"]
    assert message.datasets[0].columns[0].classification == "internal"
    assert not message.document
