"""A client that reads one batch, waits for a line on its standard input, and reads on."""

import sys

import adbc_driver_flightsql.dbapi as flightsql
from adbc_driver_flightsql import DatabaseOptions
from adbc_driver_manager import Error

STATEMENT = """
SELECT a.email, b.email AS other
FROM reservations.passengers a CROSS JOIN reservations.passengers b
"""


def main() -> None:
    """Say `began` after the first batch, and what ended the read."""
    uri, token, purpose = sys.argv[1:]
    options = {
        DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}",
        f"{DatabaseOptions.RPC_CALL_HEADER_PREFIX.value}x-mesh-purpose": purpose,
    }
    with (
        flightsql.connect(uri, db_kwargs=options, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(STATEMENT)
        batches = cursor.fetch_record_batch()
        batches.read_next_batch()
        sys.stdout.write("began\n")
        sys.stdout.flush()
        sys.stdin.readline()
        try:
            while True:
                batches.read_next_batch()
        except (Error, OSError, StopIteration) as end:
            sys.stdout.write(f"{end}\n")


if __name__ == "__main__":
    main()
