"""Statements as syntax trees and back, on a connection that has no source."""

from collections import OrderedDict
from dataclasses import dataclass

import duckdb

from domain_agent.enforcement.gate import load
from domain_agent.worker.faults import invalid
from domain_agent.worker.instance import connection
from domain_agent.worker.limits import PoolSettings
from mesh.errors import StatementInvalid, StatementNotSelect

_REMEMBERED = 256
_REWRITE = """
SELECT text, CAST(json_serialize_sql(text) AS VARCHAR), json_deserialize_sql(CAST($2 AS JSON))
FROM (SELECT json_deserialize_sql(CAST($1 AS JSON)) AS text)
"""


@dataclass(frozen=True, slots=True)
class Select:
    """One SELECT as text, and the names of its parameters."""

    text: str
    parameters: frozenset[str]


class Syntax:
    """DuckDB's own parser and printer."""

    def __init__(self, settings: PoolSettings) -> None:
        self._connection = connection(settings)
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")
        self._selects: OrderedDict[str, Select] = OrderedDict()

    def parse(self, sql: str) -> str:
        """The tree as JSON. Raises StatementInvalid or StatementNotSelect."""
        tree = self._ask("SELECT json_serialize_sql(CAST($1 AS VARCHAR))", sql)
        document = load(tree)
        if document.get("error"):
            message = str(document.get("error_message", ""))
            if document.get("error_type") == "parser":
                raise invalid(message, sql, str(document.get("position", "")))
            raise StatementNotSelect("only one SELECT statement is served here")
        if not document.get("statements"):
            raise StatementInvalid("the statement is empty; write one SELECT")
        return tree

    def rewrite(self, checked: str, redacted: str) -> tuple[str, str, str]:
        """The checked tree as SQL, that SQL as a tree again, and the redacted tree as SQL.

        In one question, since asking costs more than answering. Raises StatementInvalid.
        """
        try:
            answer = self._connection.execute(_REWRITE, [checked, redacted]).fetchone()
        except duckdb.Error as error:
            raise StatementInvalid("the statement can't be written back as SQL") from error
        match answer:
            case (str() as text, str() as again, str() as public):
                return text, again, public
            case _:
                raise StatementInvalid("the statement can't be written back as SQL")

    def select(self, text: str) -> Select:
        """The one SELECT that a text is, ready to bind. Raises StatementNotSelect for others."""
        known = self._selects.get(text)
        if known is not None:
            self._selects.move_to_end(text)
            return known
        statements = self._connection.extract_statements(text)
        if len(statements) != 1 or statements[0].type is not duckdb.StatementType.SELECT:
            raise StatementNotSelect("only one SELECT statement is served here")
        found = Select(text, frozenset(statements[0].named_parameters))
        self._selects[text] = found
        while len(self._selects) > _REMEMBERED:
            self._selects.popitem(last=False)
        return found

    def _ask(self, question: str, value: str) -> str:
        (answer,) = self._connection.execute(question, [value]).fetchone() or (None,)
        if not isinstance(answer, str):
            raise StatementInvalid("the statement has no syntax tree")
        return answer
