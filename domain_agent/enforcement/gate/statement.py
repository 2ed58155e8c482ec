"""The gate's entry: a serialised statement in, a checked one out."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from domain_agent.enforcement.gate.expressions import EXPRESSIONS
from domain_agent.enforcement.gate.fields import opened
from domain_agent.enforcement.gate.functions import CLOCKS
from domain_agent.enforcement.gate.names import Scope
from domain_agent.enforcement.gate.queries import QUERIES, statement_of
from domain_agent.enforcement.gate.redaction import redact
from domain_agent.enforcement.gate.relations import RELATIONS, VALUES_ALIAS
from domain_agent.enforcement.gate.values import (
    Catalog,
    CheckedStatement,
    DatasetName,
    Tree,
)
from domain_agent.enforcement.gate.walk import Walk
from mesh.errors import (
    MeshError,
    StatementInvalid,
    StatementNotAllowed,
    StatementNotSelect,
    StatementParametersInvalid,
    StatementTooDeep,
)


def load(text: str) -> Mapping[str, object]:
    """What `json_serialize_sql` answered, as the gate reads it."""
    try:
        serialized = json.loads(text)
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise StatementInvalid(
            "The statement has no readable syntax tree. Write it anew."
        ) from None
    if not isinstance(serialized, dict):
        raise StatementInvalid("The statement has no readable syntax tree. Write it anew.")
    return serialized


def check(serialized: Mapping[str, object], catalog: Catalog) -> CheckedStatement:
    """The statement as it may run, over the catalog's datasets. Raises a Statement* error."""
    try:
        tree, walk = _copied(serialized, catalog)
        datasets = tuple(sorted(walk.datasets))
        redacted = redact(tree, len(walk.parameters), _known(datasets, catalog))
    except RecursionError:
        raise _too_deep() from None
    return CheckedStatement(tree, datasets, len(walk.parameters), redacted)


def confirm(checked: CheckedStatement, serialized: Mapping[str, object], catalog: Catalog) -> None:
    """Refuse unless the text made from the checked tree parses to that same tree."""
    again: Tree | None = None
    with suppress(MeshError, RecursionError):
        again, _ = _copied(serialized, catalog)
    if again != checked.tree:
        raise StatementNotAllowed(
            "The statement does not survive being rewritten to its datasets' full names. "
            "Write it more plainly, without unusual names or literals."
        )


def _copied(serialized: Mapping[str, object], catalog: Catalog) -> tuple[Tree, Walk]:
    """What is allowed of a statement, and what was met on the way."""
    walk = Walk(catalog, QUERIES, RELATIONS, EXPRESSIONS)
    statement = statement_of(walk, _only_statement(serialized), Scope())
    _number_parameters(statement, walk.parameters)
    return {"error": False, "statements": [statement]}, walk


def _known(datasets: Sequence[DatasetName], catalog: Catalog) -> Iterator[str]:
    """The names that a statement over these datasets did not have to invent."""
    yield from (VALUES_ALIAS, *CLOCKS)
    if datasets:
        yield catalog.domain
    for name in datasets:
        yield from (name.product, name.dataset, *catalog.products[name.product][name.dataset])


def _only_statement(serialized: Mapping[str, object]) -> object:
    """The one SELECT of what was parsed."""
    if serialized.get("error") is not False:
        raise _parse_error(serialized)
    with opened(dict(serialized), "A statement of this kind") as fields:
        fields.only("error", False)
        statements = fields.items("statements")
    if not statements:
        raise StatementInvalid("The statement is empty. Write one SELECT.")
    if len(statements) > 1:
        raise StatementNotSelect(
            f"Only one SELECT is served at a time; found {len(statements)} statements. "
            "Send them one by one."
        )
    return statements[0]


def _parse_error(serialized: Mapping[str, object]) -> MeshError:
    """What DuckDB's parser refused; its message quotes the text, so only the place is told."""
    message = str(serialized.get("error_message", ""))
    if message.startswith("Only SELECT statements"):
        return StatementNotSelect(
            "Only one SELECT is served; statements that change, copy, describe or configure "
            "are not. Write a SELECT."
        )
    if message.startswith("Max expression depth"):
        return _too_deep()
    position = str(serialized.get("position", ""))
    place = f" at character {position}" if position.isascii() and position.isdigit() else ""
    return StatementInvalid(f"The statement does not parse{place}. Mend it there.")


def _number_parameters(statement: Tree, numbers: set[int]) -> None:
    """Write the list of parameters anew; it must have no gap."""
    if numbers != set(range(1, len(numbers) + 1)):
        raise StatementParametersInvalid(
            "The parameters have gaps. Number them $1, $2, … without leaving one out."
        )
    statement["named_param_map"] = [{"key": str(n), "value": n} for n in sorted(numbers)]


def _too_deep() -> StatementTooDeep:
    return StatementTooDeep("The statement nests too deeply. Name its parts with WITH.")
