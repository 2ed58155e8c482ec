"""A decision's limits on one dataset, as the plan holds them; what can't be applied refuses."""

from collections.abc import Mapping

from domain_agent.enforcement.groups import GroupRule
from mesh.contracts.values import Dataset
from mesh.errors import LimitUnsupported
from mesh.masks import Mask

_ROWS, _GROUP = "rows", "group"
_SMALLEST_GROUP = 2
# Two persons never become one under these, so that counting what is shown counts persons.
_KEEPS_APART = frozenset({Mask.CLEAR, Mask.PSEUDONYM})


def row_limit(limits: Mapping[str, int], where: str) -> int | None:
    """The most rows of one read. Raises LimitUnsupported, for an unknown limit too."""
    unknown = sorted(limits.keys() - {_ROWS, _GROUP})
    if unknown:
        raise LimitUnsupported(
            f"policy sets the limits {', '.join(unknown)} on {where}; only `rows` and `group` are"
            " known"
        )
    return _whole(limits, _ROWS, 0, where)


def group_rule(
    limits: Mapping[str, int], dataset: Dataset, masks: Mapping[str, Mask], where: str
) -> GroupRule | None:
    """The least size of a group; `masks` are those of the columns that are shown.

    Raises LimitUnsupported where the dataset has persons and they can't be told apart.
    """
    size = _whole(limits, _GROUP, _SMALLEST_GROUP, where)
    if size is None:
        return None
    keys = tuple(column.name for column in dataset.columns if column.subject_key)
    for key in keys:
        mask = masks.get(key, Mask.DROP)
        if mask not in _KEEPS_APART:
            raise LimitUnsupported(
                f"policy opens {where} in groups of {size} persons only, and persons can't be"
                f" counted: {key!r}, the `mesh.subjectKey`, is masked as {mask}; nothing is read."
                " Its owner can have it masked as pseudonym",
                limit=_GROUP,
            )
    return GroupRule(size, keys)


def _whole(limits: Mapping[str, int], name: str, least: int, where: str) -> int | None:
    limit: object = limits.get(name)
    if limit is None and name not in limits:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < least:
        raise LimitUnsupported(f"the limit `{name}` on {where} is no whole number from {least} on")
    return limit
