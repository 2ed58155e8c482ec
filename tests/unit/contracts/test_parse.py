"""A contract is read whole, or every problem is told at its place."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.contracts.parse import Linted, lint, read_contract
from mesh.contracts.problems import MAX_PROBLEMS
from mesh.contracts.values import Classification, Column, Contract, Dataset, Role, Server
from mesh.errors import ContractInvalid, ContractTooLarge
from tests.unit.contracts.documents import GOLDEN, RIGHT, Steps, changed, dump, right

KNOWN = frozenset({"customer-care", "crew-planning"})
COLUMN: Steps = ("schema", 0, "properties", 0)
LOCAL: Steps = ("servers", 0)


def problems(document: bytes) -> list[str]:
    linted = lint(document, KNOWN)
    assert linted.contract is None
    assert list(linted.problems) == sorted(linted.problems)
    return [f"{problem.field}: {problem.message}" for problem in linted.problems]


def test_every_part_of_a_right_contract_is_mapped() -> None:
    assert read_contract(RIGHT) == Contract(
        domain="bookings",
        product="reservations",
        version="1.2.3",
        contract_id="airline-bookings-reservations",
        status="active",
        title="Who flies with us",
        owners=("olga", "team:sales"),
        purposes=("crew-planning", "customer-care"),
        roles=(
            Role("analyst", "Every row"),
            Role(
                "eu-analyst",
                row_filter={
                    "or": [
                        {"column": "country", "op": "in", "value": ["DE", "FR"]},
                        {"not": {"column": "passenger_id", "op": "ge", "value": "10"}},
                    ]
                },
            ),
        ),
        datasets=(
            Dataset(
                name="passengers",
                file="2026/passengers.parquet",
                columns=(
                    Column(
                        name="passenger_id",
                        logical_type="string",
                        physical_type="VARCHAR",
                        classification=Classification.CONFIDENTIAL,
                        category="identity",
                        tags=("key", "pii"),
                        mask="pseudonym",
                        subject_key=True,
                        required=True,
                    ),
                    Column("country", "string", None, Classification.INTERNAL),
                    Column(
                        name="Geburtstag (örtlich)",
                        logical_type="date",
                        physical_type="DATE",
                        classification=Classification.CONFIDENTIAL,
                        mask="generalise",
                        description="In the calendar of the country",
                    ),
                ),
                description="One row for each passenger",
            ),
        ),
        server=Server("shared/bookings", "parquet"),
        residency="eu",
        legal_basis="contract",
    )


def test_the_older_form_of_a_team_names_owners_too() -> None:
    team = [{"username": "olga", "role": "owner"}, {"username": "pavel"}]

    assert read_contract(changed((("team",), team))).owners == ("olga",)


def test_a_product_without_a_description_is_titled_by_its_name() -> None:
    assert read_contract(changed((("description",), ...))).title == "reservations"


def test_a_broken_contract_is_told_every_problem_with_line_field_and_what_is_allowed() -> None:
    document = (GOLDEN / "broken.odcs.yaml").read_bytes()
    told = "".join(f"{problem}\n" for problem in lint(document, KNOWN).problems)

    assert told == (GOLDEN / "broken.txt").read_text("utf-8")


WRONG: list[tuple[Steps, object, str]] = [
    (("apiVersion",), "v2.2.2", "allowed are v3.0.0 and later"),
    (("apiVersion",), "v3.1", "did you mean `v3.1.0`?"),
    (("kind",), "DataProduct", "allowed: DataContract"),
    (("kind",), ..., "`kind` is missing"),
    (("id",), "", "allowed are 1 to 128"),
    (("version",), 1.0, "version: is the number 1.0; allowed is text; write it in quotes"),
    (("version",), "1.0", "allowed are three numbers, as in 1.0.0"),
    (("version",), "1.01.0", "allowed are three numbers"),
    (("version",), "v1.0.0", "allowed are three numbers"),
    (("status",), "Active", "did you mean `active`?"),
    (("status",), ..., "`status` is missing; allowed: proposed"),
    (("status",), True, "status: is true; allowed is text"),
    (("domain",), "Bookings", "for example `bookings`"),
    (("domain",), ..., "`domain` is missing"),
    (("name",), "main", "none of"),
    (("name",), "a" * 64, "at most 62"),
    (("name",), ["a"], "name: is a list; allowed is text"),
    (("dataproduct",), "x", "unknown key `dataproduct`; did you mean `dataProduct`?"),
    (("team",), ..., "no owner"),
    (("team",), "olga", "team: "),
    (("team",), [], "no owner"),
    (("team", "members", 0, "role"), "Owner", "write `owner`"),
    (("team", "members", 0, "username"), "olga ivanova", "without spaces"),
    (("team", "members", 0, "username"), "group:sales", "team:<id>"),
    (("team", "members", 0, "usernme"), "x", "did you mean `username`?"),
    (("servers",), ..., "found none"),
    (("servers", 0), ..., "`type: local`, `path` and `format` parquet or csv; found postgres"),
    ((*LOCAL, "type"), "locl", "did you mean `local`?"),
    ((*LOCAL, "path"), ..., "`path` is missing"),
    ((*LOCAL, "path"), "a/../../b", "`..` is not allowed"),
    ((*LOCAL, "path"), "~/data", "without scheme and `~`"),
    ((*LOCAL, "path"), "s3://bucket", "without scheme"),
    ((*LOCAL, "path"), "data/*", "* is not allowed"),
    ((*LOCAL, "format"), "delta", "allowed: parquet, csv"),
    ((*LOCAL, "format"), ..., "`format` is missing"),
    ((*LOCAL, "encoding"), "latin-1", "the agent reads UTF-8"),
    ((*LOCAL, "roles"), [{"role": "x"}], "not enforced"),
    (
        ("servers", 1),
        {"server": "b", "type": "local", "path": ".", "format": "csv"},
        "a second local",
    ),
    (("roles",), ..., "no role"),
    (("roles",), [], "no role"),
    (("roles", 0, "role"), "An Analyst", "a lower-case letter"),
    (("roles", 1, "role"), "analyst", "a second role `analyst`"),
    (("roles", 0, "access"), "write", "allowed is `read`"),
    (("roles", 0, "firstLevelApprovers"), "olga", "the product's owners approve"),
    (("schema",), ..., "no dataset"),
    (("schema",), [], "no dataset"),
    (("schema", 0, "name"), "select *", "allowed is"),
    (("schema", 0, "physicalName"), ..., "`physicalName` is missing"),
    (("schema", 0, "physicalName"), "/etc/passwd", "not an absolute one"),
    (("schema", 0, "physicalName"), "../x.parquet", "`..` is not allowed"),
    (("schema", 0, "physicalName"), "x[0-9].parquet", "[ ] is not allowed"),
    (("schema", 0, "physicalName"), "", "1 to 1,024 characters"),
    (("schema", 0, "properties"), ..., "no column"),
    (("schema", 0, "properties"), [], "no column"),
    ((*COLUMN, "classification"), ..., "allowed: public, internal, confidential, restricted"),
    ((*COLUMN, "classification"), "secret", "allowed: public, internal, confidential, restricted"),
    ((*COLUMN, "classification"), "Public", "did you mean `public`?"),
    ((*COLUMN, "logicalType"), ..., "`logicalType` is missing"),
    ((*COLUMN, "logicalType"), "varchar", "allowed: string, date"),
    ((*COLUMN, "physicalType"), "BIGINT", "does not hold the logicalType `string`"),
    ((*COLUMN, "physicalName"), "pid", "both must be equal"),
    ((*COLUMN, "name"), ..., "`name` is missing"),
    ((*COLUMN, "name"), "Country", "a second column named `country`"),
    ((*COLUMN, "name"), "a" * 256, "1 to 255 printable"),
    ((*COLUMN, "semanticType"), "measure", "real columns only"),
    ((*COLUMN, "clasification"), "public", "did you mean `classification`?"),
    ((*COLUMN, "items"), {"logicalType": "string"}, "does not fit this kind of element"),
]


@pytest.mark.parametrize(("path", "value", "words"), WRONG)
def test_a_wrong_value_is_told(path: Steps, value: object, words: str) -> None:
    told = problems(changed((path, value)))

    assert any(words in line for line in told), told


def with_property(where: Steps, name: str, value: object) -> bytes:
    path = (*where, "customProperties")
    return changed((path, [{"property": name, "value": value}]))


EXTENSIONS: list[tuple[Steps, str, object, str]] = [
    ((), "mesh.purposes", ["customer-car"], "did you mean `customer-care`?"),
    ((), "mesh.purposes", ["espionage"], "registered: crew-planning, customer-care"),
    ((), "mesh.purposes", [], "lists at least one purpose"),
    ((), "mesh.purposes", "customer-care", "lists at least one purpose"),
    ((), "mesh.purposes", ["Customer Care"], "an entry is `Customer Care`"),
    ((), "mesh.purposes", [1], "an entry is the number 1"),
    ((), "mesh.purposes", ["customer-care", "customer-care"], "names a purpose twice"),
    ((), "mesh.legalBasis", "contrat", "did you mean `contract`?"),
    ((), "mesh.residency", "E U", "a lower-case letter"),
    ((), "mesh.mask", "null", "belongs to a column, not to the contract"),
    ((), "mesh.purpose", ["customer-care"], "did you mean `mesh.purposes`?"),
    ((), "mesh.sla", 1, "unknown property `mesh.sla`"),
    ((), "Mesh.Purposes", 1, "did you mean `mesh.purposes`?"),
    (COLUMN, "mesh_mask", "null", "did you mean `mesh.mask`?"),
    (COLUMN, "meshMask", "null", "did you mean `mesh.mask`?"),
    (COLUMN, "mesh.mask", "nul", "did you mean `null`?"),
    (COLUMN, "mesh.mask", None, "is empty; allowed: clear, generalise"),
    (COLUMN, "mesh.subjectKey", "yes", "is `yes`; allowed is true or false"),
    (COLUMN, "mesh.category", ["a"], "is a list; allowed is"),
    (COLUMN, "mesh.rowFilter", {}, "belongs to a role, not to a column"),
    (COLUMN, "mesh.mask", "generalise", "does not fit VARCHAR; allowed here: partial, pseudonym"),
    (COLUMN, "mesh.mask", "clear", "raised to `generalise`, the floor of confidential"),
    (("schema", 0, "properties", 2), "mesh.mask", "pseudonym", "does not fit DATE"),
    (("schema", 0), "mesh.category", "identity", "belongs to a column, not to this element"),
    (("servers", 0), "mesh.mask", "null", "not to this element"),
    (("roles", 0), "mesh.rowFilter", "country = 'DE'", "allowed is a mapping"),
    (("roles", 0), "mesh.rowFilter", {"column": "country"}, "a filter has the keys"),
]


@pytest.mark.parametrize(("where", "name", "value", "words"), EXTENSIONS)
def test_a_wrong_property_of_the_mesh_is_told(
    where: Steps, name: str, value: object, words: str
) -> None:
    told = problems(with_property(where, name, value))

    assert any(words in line for line in told), told


def test_somebody_elses_properties_are_left_alone() -> None:
    document = with_property(COLUMN, "meshSize", "12 mm")

    assert lint(document, KNOWN).problems == ()


def test_a_property_given_twice_is_told() -> None:
    entry = {"property": "mesh.mask", "value": "null"}

    told = problems(changed(((*COLUMN, "customProperties", 3), entry)))
    assert told == [
        "schema[passengers].properties[passenger_id].customProperties[mesh.mask].property: "
        "a second `mesh.mask`; remove one"
    ]


FILTERS: list[tuple[str, str, object, str]] = [
    ("string", "eq", 1, "the value is the number 1; allowed is text"),
    ("string", "in", ["a", True], "the value is true; allowed is text"),
    ("integer", "eq", "1", "allowed is a whole number"),
    ("integer", "eq", True, "allowed is a whole number"),
    ("integer", "lt", 1.5, "allowed is a whole number"),
    ("integer", "lt", 2**53, "up to 2^53 - 1"),
    ("integer", "in", [1, 2**53], "up to 2^53 - 1"),
    ("integer", "starts_with", "1", "starts_with compares text only"),
    ("number", "lt", "1", "allowed is a number"),
    ("boolean", "eq", 1, "allowed is true or false"),
    ("boolean", "lt", True, "have no order"),
    ("date", "eq", "31.12.2013", "a date as in 2013-12-31"),
    ("timestamp", "ge", "yesterday", "an instant as in"),
    ("time", "eq", "10 o'clock", "a time as in 23:59:59"),
    ("object", "eq", "x", "only be compared with is_null"),
]


def filtered(logical_type: str, operator: str, value: object) -> bytes:
    column = {"name": "x", "logicalType": logical_type, "classification": "internal"}
    document = {"column": "x", "op": operator, "value": value}
    entry = {"property": "mesh.rowFilter", "value": document}
    return changed(
        (("schema", 0, "properties", 3), column), (("roles", 0, "customProperties"), [entry])
    )


@pytest.mark.parametrize(("logical_type", "operator", "value", "words"), FILTERS)
def test_a_filter_that_does_not_fit_its_column_is_told(
    logical_type: str, operator: str, value: object, words: str
) -> None:
    told = problems(filtered(logical_type, operator, value))

    assert len(told) == 1
    assert words in told[0]


@pytest.mark.parametrize(
    ("logical_type", "operator", "value"),
    [
        ("string", "starts_with", "a"),
        ("integer", "in", [1, -2]),
        ("number", "le", 1.5),
        ("number", "le", 2),
        ("boolean", "ne", False),
        ("date", "gt", "2013-12-31"),
        ("timestamp", "gt", "2013-12-31T10:00:00Z"),
        ("object", "is_null", True),
    ],
)
def test_a_filter_that_fits_its_column_is_kept(
    logical_type: str, operator: str, value: object
) -> None:
    contract = read_contract(filtered(logical_type, operator, value))

    assert contract.roles[0].row_filter == {"column": "x", "op": operator, "value": value}


def test_a_filters_columns_must_be_in_every_dataset() -> None:
    other = {
        "name": "other",
        "physicalName": "other.parquet",
        "properties": [{"name": "x", "logicalType": "string", "classification": "public"}],
    }
    told = problems(changed((("schema", 1), other)))

    where = "roles[eu-analyst].customProperties[mesh.rowFilter].value"
    assert told == [
        f"{where}: the dataset `other` has no column `country`",
        f"{where}: the dataset `other` has no column `passenger_id`",
    ]


def test_a_nested_value_is_no_more_sensitive_than_its_column() -> None:
    inner = {"name": "card", "logicalType": "string", "classification": "restricted"}
    items = {"logicalType": "object", "properties": [inner]}
    column = {"name": "x", "logicalType": "array", "items": items, "classification": "internal"}

    told = problems(changed((("schema", 0, "properties", 3), column)))
    assert len(told) == 1
    assert "is `restricted` inside a column that is `internal`" in told[0]


def test_a_dataset_has_at_most_32_classes_of_columns() -> None:
    columns = [
        {"name": f"c{n}", "logicalType": "string", "classification": "public", "tags": [f"t{n}"]}
        for n in range(33)
    ]
    path: Steps = ("schema", 0, "properties")
    kept: Steps = ("roles", 1, "customProperties")
    assert "33 distinct combinations" in problems(changed((path, columns), (kept, ...)))[0]
    assert lint(changed((path, columns[:32]), (kept, ...)), KNOWN).problems == ()


def test_purposes_are_checked_only_against_known_ones_that_are_given() -> None:
    assert lint(RIGHT).problems == ()
    assert len(lint(RIGHT, frozenset()).problems) == 2


def test_a_refusal_lists_the_problems_and_fits_in_a_trailer() -> None:
    columns = [{"name": f"c{n}", "logicalType": "nope" * 20} for n in range(100)]
    with pytest.raises(ContractInvalid) as caught:
        read_contract(changed((("schema", 0, "properties"), columns)))

    assert caught.value.reason_id == "contract.invalid"
    message = caught.value.message
    assert message.startswith(f"The contract has {MAX_PROBLEMS + 1} problems:\n  line ")
    assert message.endswith("more; `mesh contract lint` shows all")
    assert len(message.encode()) < 2_500


def test_more_problems_than_anyone_reads_are_not_listed() -> None:
    columns = [{"nam": f"c{n}"} for n in range(1_000)]
    told = lint(changed((("schema", 0, "properties"), columns))).problems

    assert len(told) == MAX_PROBLEMS + 1
    assert told[-1].message == "the list ends here; repair these first, there may be more"


def test_a_contract_that_is_too_large_is_refused_at_once() -> None:
    document = b"#" * 50_000_000
    began = time.process_time()

    for read in (lint, read_contract):
        with pytest.raises(ContractTooLarge):
            read(document)
    assert time.process_time() - began < 0.01


@pytest.mark.parametrize(
    "repeated",
    [
        "  - {name: x, b: 1}\n",
        "  - [[[[[[[[]]]]]]]]\n",
        "  - {name: d, properties: [{customProperties: [{property: mesh.x, value: 1}]}]}\n",
        "  - {zzzzzzzzzzzzzzzz: 1}\n",
    ],
)
def test_the_worst_document_within_the_limit_is_refused_soon(repeated: str) -> None:
    head = RIGHT[: RIGHT.index(b"schema:\n  - name")] + b"schema:\n"
    document = head + repeated.encode() * ((512 * 1024 - len(head)) // len(repeated))
    began = time.process_time()

    assert lint(document).problems
    assert time.process_time() - began < 3


def test_a_large_right_contract_is_read_quickly() -> None:
    columns = [
        {"name": f"c{n}", "logicalType": "string", "classification": "public"} for n in range(2_000)
    ]
    path: Steps = ("schema", 0, "properties")
    document = changed((path, columns), (("roles", 1, "customProperties"), ...))
    began = time.process_time()

    assert len(read_contract(document).datasets[0].columns) == 2_000
    assert time.process_time() - began < 5


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
WORDS = st.sampled_from(
    [
        "name",
        "mesh.mask",
        "mesh.rowFilter",
        "owner",
        "local",
        "string",
        "partial",
        "restricted",
        "or",
    ]
)


def paths(value: object, path: Steps = ()) -> list[Steps]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*path, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            found += paths(inner, (*path, index))
    return found


PATHS = paths(right())


def settled(act: Callable[[], Linted]) -> None:
    """Whatever the document is, there is a contract or a list of problems, by line."""
    linted = act()
    assert (linted.contract is None) == bool(linted.problems)
    assert list(linted.problems) == sorted(linted.problems)


@settings(deadline=None)
@given(st.sampled_from(PATHS), JSON | WORDS)
def test_any_value_anywhere_gives_a_contract_or_problems(path: Steps, value: object) -> None:
    settled(lambda: lint(changed((path, value)), KNOWN))


@settings(deadline=None)
@given(st.sampled_from(PATHS))
def test_anything_missing_gives_a_contract_or_problems(path: Steps) -> None:
    settled(lambda: lint(changed((path, ...)), KNOWN))


@settings(deadline=None)
@given(JSON)
def test_any_value_gives_problems(value: object) -> None:
    settled(lambda: lint(dump(value)))


@settings(deadline=None)
@given(st.integers(0, len(RIGHT)), st.integers(0, 40), st.binary(max_size=8))
def test_any_damage_gives_a_contract_or_problems(start: int, length: int, put: bytes) -> None:
    settled(lambda: lint(RIGHT[:start] + put + RIGHT[start + length :], KNOWN))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_problems(document: bytes) -> None:
    settled(lambda: lint(document))


def test_the_golden_files_are_the_ones_tested() -> None:
    assert sorted(path.name for path in Path(GOLDEN).iterdir()) == [
        "broken.odcs.yaml",
        "broken.txt",
        "right.odcs.yaml",
    ]
