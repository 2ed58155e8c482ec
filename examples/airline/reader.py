"""Reading through an agent with a client that is not ours: ADBC's Flight SQL driver."""

from collections.abc import Sequence
from dataclasses import dataclass

import adbc_driver_flightsql.dbapi as flightsql
import pyarrow as pa
from adbc_driver_flightsql import DatabaseOptions
from adbc_driver_manager import Error


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody with a domain token and a purpose."""

    uri: str
    token: str
    purpose: str

    def read(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """The statement's rows. Raises adbc_driver_manager.Error."""
        header = DatabaseOptions.RPC_CALL_HEADER_PREFIX.value
        options = {
            DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {self.token}",
            f"{header}x-mesh-purpose": self.purpose,
        }
        with (
            flightsql.connect(self.uri, db_kwargs=options, autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql, parameters or None)
            return cursor.fetch_arrow_table()

    def refusal(self, sql: str) -> str:
        """The message with which the statement is refused; empty when it is not."""
        try:
            self.read(sql)
        except Error as error:
            return str(error)
        return ""
