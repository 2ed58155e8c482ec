"""The Flight service as ADBC's Flight SQL driver sees it."""

from collections.abc import Iterator

import adbc_driver_flightsql.dbapi as adbc
import adbc_driver_manager
import pyarrow as pa
import pytest

from tests.unit.flight.memory import BROKEN, REVOKED, MemoryReads
from tests.unit.flight.serving import Endpoint, serving, token

TABLE = pa.table(
    {
        "id": pa.array(range(10_000), pa.int64()),
        "carrier": pa.array(["AA", "BB"] * 5_000),
        "left": pa.array([0, 86_400_000_000] * 5_000, pa.timestamp("us")),
    }
)
READS = MemoryReads(
    {"delays": TABLE, "airports_of_origin": TABLE.slice(0, 3), REVOKED: TABLE, BROKEN: TABLE}
)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with serving(READS) as endpoint:
        yield endpoint


def connect(
    endpoint: Endpoint, purpose: str = "planning", bearer: str | None = None
) -> adbc.Connection:
    return adbc.connect(
        endpoint.uri,
        db_kwargs={
            "adbc.flight.sql.authorization_header": f"Bearer {bearer or token('ana')}",
            "adbc.flight.sql.rpc.call_header.x-mesh-purpose": purpose,
            "adbc.flight.sql.rpc.call_header.x-mesh-agreement": "a-1, a-2",
        },
        autocommit=True,
    )


@pytest.fixture
def connection(endpoint: Endpoint) -> Iterator[adbc.Connection]:
    with connect(endpoint) as connection:
        yield connection


def test_statement_reads_the_whole_table(connection: adbc.Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM ops.flights.delays")
        assert cursor.fetch_arrow_table() == TABLE
    reading = READS.readings[-1]
    assert reading.closes == [None]
    assert reading.context.caller.principal.reference == "user:ana"
    assert reading.context.purpose == "planning"
    assert reading.context.agreements == {"a-1", "a-2"}
    assert reading.context.client.startswith("ipv4:127.0.0.1:")


def test_parameters_reach_the_statement(connection: adbc.Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM ops.flights.delays WHERE id = ?", (42,))
        assert cursor.fetch_arrow_table() == TABLE.slice(42, 1)
        cursor.execute("SELECT * FROM ops.flights.delays WHERE carrier = ?", ("BB",))
        assert cursor.fetch_arrow_table().num_rows == 5_000


def test_statement_can_be_executed_again_with_other_parameters(connection: adbc.Connection) -> None:
    with connection.cursor() as cursor:
        for number in (1, 2, 3):
            cursor.execute("SELECT * FROM ops.flights.delays WHERE id = ?", (number,))
            assert cursor.fetch_arrow_table().column("id").to_pylist() == [number]


def test_schema_of_a_statement_is_known_before_it_runs(connection: adbc.Connection) -> None:
    with connection.cursor() as cursor:
        schema = cursor.adbc_execute_schema("SELECT * FROM ops.flights.delays")
    assert schema == TABLE.schema


def test_partitions_are_read_once(connection: adbc.Connection) -> None:
    with connection.cursor() as cursor:
        partitions, schema = cursor.adbc_execute_partitions("SELECT * FROM ops.flights.delays")
        assert schema == TABLE.schema
        cursor.adbc_read_partition(partitions[0])
        assert cursor.fetch_arrow_table() == TABLE
        with pytest.raises(adbc_driver_manager.ProgrammingError, match="unknown, used, expired"):
            cursor.adbc_read_partition(partitions[0])


def test_objects_are_listed(connection: adbc.Connection) -> None:
    objects = connection.adbc_get_objects(depth="all").read_all().to_pylist()
    (catalog,) = objects
    assert catalog["catalog_name"] == "ops"
    (schema,) = catalog["catalog_db_schemas"]
    assert schema["db_schema_name"] == "flights"
    tables = {table["table_name"]: table for table in schema["db_schema_tables"]}
    assert set(tables) == {"delays", "airports_of_origin", REVOKED, BROKEN}
    assert tables["delays"]["table_type"] == "TABLE"
    columns = [column["column_name"] for column in tables["delays"]["table_columns"]]
    assert columns == ["id", "carrier", "left"]


def test_objects_can_be_filtered(connection: adbc.Connection) -> None:
    found = connection.adbc_get_objects(
        depth="tables", catalog_filter="ops", db_schema_filter="fl%", table_name_filter="air%"
    ).read_all()
    (schema,) = found.to_pylist()[0]["catalog_db_schemas"]
    assert [table["table_name"] for table in schema["db_schema_tables"]] == ["airports_of_origin"]


def test_table_schema_and_types_are_told(connection: adbc.Connection) -> None:
    assert connection.adbc_get_table_schema("airports_of_origin") == TABLE.schema
    assert connection.adbc_get_table_types() == ["TABLE"]


def test_server_tells_who_it_is(connection: adbc.Connection) -> None:
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "Meshwarden"
    assert info["vendor_version"] == "1.2.3"


def test_refused_statement_shows_its_reason(connection: adbc.Connection) -> None:
    with (
        connection.cursor() as cursor,
        pytest.raises(adbc_driver_manager.Error, match=r"Only one SELECT is served\.") as refusal,
    ):
        cursor.execute("DROP TABLE delays")
    assert refusal.value.status_code == adbc_driver_manager.AdbcStatusCode.UNAUTHORIZED


def test_many_rows_of_parameters_are_refused_as_a_write(connection: adbc.Connection) -> None:
    with (
        connection.cursor() as cursor,
        pytest.raises(adbc_driver_manager.Error, match="reads only"),
    ):
        cursor.executemany("SELECT * FROM ops.flights.delays WHERE id = ?", [(1,), (2,)])


def test_ingestion_is_refused(connection: adbc.Connection) -> None:
    with (
        connection.cursor() as cursor,
        pytest.raises(adbc_driver_manager.Error, match="reads only"),
    ):
        cursor.adbc_ingest("delays", TABLE.slice(0, 1), mode="append")


def test_missing_purpose_is_refused(endpoint: Endpoint) -> None:
    with (
        connect(endpoint, purpose="") as connection,
        connection.cursor() as cursor,
        pytest.raises(adbc_driver_manager.Error, match="names no purpose"),
    ):
        cursor.execute("SELECT * FROM ops.flights.delays")


def test_forged_token_is_refused(endpoint: Endpoint) -> None:
    with (
        connect(endpoint, bearer=token("ana") + "0") as connection,
        connection.cursor() as cursor,
        pytest.raises(adbc_driver_manager.Error, match="forged") as refusal,
    ):
        cursor.execute("SELECT * FROM ops.flights.delays")
    assert refusal.value.status_code == adbc_driver_manager.AdbcStatusCode.UNAUTHENTICATED


def test_token_as_password_connects(endpoint: Endpoint) -> None:
    with (
        adbc.connect(
            endpoint.uri,
            db_kwargs={
                "username": "anyone",
                "password": token("ben"),
                "adbc.flight.sql.rpc.call_header.x-mesh-purpose": "planning",
            },
            autocommit=True,
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT * FROM ops.flights.airports_of_origin")
        assert cursor.fetch_arrow_table().num_rows == 3
    assert READS.readings[-1].context.caller.principal.subject == "ben"


def test_revoked_stream_fails_with_its_reason(connection: adbc.Connection) -> None:
    with (
        connection.cursor() as cursor,
        pytest.raises(adbc_driver_manager.Error, match="The agreement ended"),
    ):
        cursor.execute("SELECT * FROM revoked")
        cursor.fetch_arrow_table()
    assert READS.readings[-1].closes == ["statement.revoked"]


def test_failure_shows_a_call_id_and_nothing_else(connection: adbc.Connection) -> None:
    with (
        connection.cursor() as cursor,
        pytest.raises(adbc_driver_manager.Error, match=r"under call id [0-9a-f]{32}") as failure,
    ):
        cursor.execute("SELECT * FROM broken")
        cursor.fetch_arrow_table()
    assert "secret" not in str(failure.value)
    assert "Traceback" not in str(failure.value)
    assert READS.readings[-1].closes == ["internal.error"]
