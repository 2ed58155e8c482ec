"""Statements over datasets that policy opens for statistics only: groups of at least k, no row.

A second walk over the tree that the gate made. Each query that reads such a dataset must have one
narrow form; it is written anew with the size of its groups in HAVING, and everything else refuses.
"""

from domain_agent.enforcement.groups.constants import check_values
from domain_agent.enforcement.groups.statement import limit_groups
from domain_agent.enforcement.groups.values import (
    GroupedDataset,
    GroupRule,
    LimitedStatement,
    ParameterUse,
)

__all__ = [
    "GroupRule",
    "GroupedDataset",
    "LimitedStatement",
    "ParameterUse",
    "check_values",
    "limit_groups",
]
