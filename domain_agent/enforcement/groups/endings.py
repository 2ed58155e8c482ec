"""What comes after a query: DISTINCT, ORDER BY and LIMIT, which may look at the items alone."""

from collections.abc import Sequence

from domain_agent.enforcement.gate.values import Tree
from domain_agent.enforcement.groups import trees
from domain_agent.enforcement.groups.items import Item, Reading

# No optimizer moves an outer query's filter across a limit. Without one it could be evaluated on
# rows of groups that are too small, and tell of them by failing.
_EVERY_GROUP = 2**63 - 1


def endings(raws: Sequence[object], items: Sequence[Item], reading: Reading) -> list[Tree]:
    """The clauses written anew, always with a LIMIT. Raises StatementAggregatesOnly."""
    copies: list[Tree] = []
    limited = False
    for raw in raws:
        match raw:
            case {"type": "DISTINCT_MODIFIER", "distinct_on_targets": []}:
                copies.append({"type": "DISTINCT_MODIFIER", "distinct_on_targets": []})
            case {"type": "ORDER_MODIFIER", "orders": [*orders]}:
                copies.append({"type": "ORDER_MODIFIER", "orders": _orders(orders, items, reading)})
            case {"type": "LIMIT_MODIFIER", "limit": limit, "offset": offset, "limit_type": kind}:
                limited = True
                copies.append(_limit(limit, offset, kind, reading))
            case _:
                raise reading.table.broken("it has DISTINCT ON")
    return copies if limited else [*copies, _limit(None, None, "ROW_COUNT", reading)]


def _limit(limit: object, offset: object, kind: object, reading: Reading) -> Tree:
    for bound in (limit, offset):
        match bound:
            case None | {"class": "CONSTANT" | "PARAMETER"}:
                pass
            case _:
                raise reading.table.broken("LIMIT or OFFSET is no constant and no parameter")
    if limit is None:
        limit, kind = trees.integer(_EVERY_GROUP), "ROW_COUNT"
    return {"type": "LIMIT_MODIFIER", "limit": limit, "offset": offset, "limit_type": kind}


def _orders(orders: Sequence[object], items: Sequence[Item], reading: Reading) -> list[Tree]:
    copies: list[Tree] = []
    for order in orders:
        match order:
            case {"type": type_, "null_order": nulls, "expression": expression}:
                for place in _places(expression, items, reading):
                    number = trees.integer(place)
                    copies.append({"type": type_, "null_order": nulls, "expression": number})
    return copies


def _places(raw: object, items: Sequence[Item], reading: Reading) -> Sequence[int]:
    match raw:
        case {"class": "STAR", "columns": True, "expr": None, "exclude_list": [], **rest} if (
            not rest["replace_list"]
            and not rest["qualified_exclude_list"]
            and not rest["rename_list"]
            and not rest["relation_name"]
        ):
            return range(1, len(items) + 1)
    place = reading.place(raw, items)
    if place is None:
        raise reading.table.broken("ORDER BY has something else than items of the select list")
    return [place]
