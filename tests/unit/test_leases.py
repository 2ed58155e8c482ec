"""One lease for each classification, as settings and the wire have them."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from mesh.contracts.values import Classification, Column, Dataset, mildest, strictest
from mesh.leases import NO_LEASES, Leases
from mesh.wire.leases import leases_from_proto, leases_to_proto

LENGTHS = st.lists(
    st.integers(1, 2_592_000_000_000).map(lambda us: timedelta(microseconds=us)),
    min_size=4,
    max_size=4,
)
CLASSES = st.lists(st.sampled_from(list(Classification)), min_size=1)


@given(LENGTHS)
def test_leases_come_over_the_wire_as_they_are(lengths: list[timedelta]) -> None:
    ordered = dict(zip(Classification, sorted(lengths, reverse=True), strict=True))
    leases = Leases(ordered)
    again = leases_from_proto(leases_to_proto(leases))
    assert again.lengths == ordered
    assert again.shortest == min(lengths)


def test_what_is_not_stated_is_no_lease() -> None:
    assert {NO_LEASES[one] for one in Classification} == {timedelta()}


@given(CLASSES)
def test_a_dataset_is_as_strict_as_its_strictest_column(classes: list[Classification]) -> None:
    columns = tuple(Column(f"c{n}", "string", None, one) for n, one in enumerate(classes))
    ranks = [list(Classification).index(one) for one in classes]
    dataset = Dataset("d", "d.parquet", columns)
    assert list(Classification).index(dataset.classification) == max(ranks)
    assert strictest(classes) == dataset.classification
    assert list(Classification).index(mildest(classes)) == min(ranks)


def test_a_dataset_without_columns_counts_as_restricted() -> None:
    assert Dataset("d", "d.parquet", ()).classification is Classification.RESTRICTED
