"""Statements as syntax trees and back, on a connection that has no source."""

import json
from collections import OrderedDict

import duckdb

from domain_agent.worker.faults import invalid
from domain_agent.worker.instance import connection
from domain_agent.worker.limits import PoolSettings
from mesh.errors import StatementInvalid, StatementNotSelect

_REMEMBERED = 256


class Syntax:
    """DuckDB's own parser and printer."""

    def __init__(self, settings: PoolSettings) -> None:
        self._connection = connection(settings)
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")
        self._rendered: OrderedDict[str, str] = OrderedDict()

    def parse(self, sql: str) -> str:
        """The tree as JSON. Raises StatementInvalid or StatementNotSelect."""
        tree = self._ask("SELECT json_serialize_sql(CAST($1 AS VARCHAR))", sql)
        document = json.loads(tree)
        if document.get("error"):
            message = str(document.get("error_message", ""))
            if document.get("error_type") == "parser":
                raise invalid(message, sql)
            raise StatementNotSelect("only one SELECT statement is served here")
        return tree

    def render(self, tree: str) -> str:
        """The text of a tree. Raises StatementInvalid for what is no tree of SELECTs."""
        known = self._rendered.get(tree)
        if known is not None:
            self._rendered.move_to_end(tree)
            return known
        try:
            text = self._ask("SELECT json_deserialize_sql(CAST($1 AS JSON))", tree)
        except duckdb.Error as error:
            raise StatementInvalid("the statement can't be written back as SQL") from error
        self._rendered[tree] = text
        while len(self._rendered) > _REMEMBERED:
            self._rendered.popitem(last=False)
        return text

    def _ask(self, question: str, value: str) -> str:
        (answer,) = self._connection.execute(question, [value]).fetchone() or (None,)
        if not isinstance(answer, str):
            raise StatementInvalid("the statement has no syntax tree")
        return answer
