"""The gate: one checked and rewritten SELECT over named datasets, or a typed refusal.

It reads the tree that DuckDB's `json_serialize_sql` makes of a statement, copies out what is
allowed, field by field, and refuses everything else. The text that runs is made from the copy.
"""

from domain_agent.enforcement.gate.redaction import redact
from domain_agent.enforcement.gate.statement import check, confirm, load
from domain_agent.enforcement.gate.text import precheck
from domain_agent.enforcement.gate.values import Catalog, CheckedStatement, DatasetName

__all__ = [
    "Catalog",
    "CheckedStatement",
    "DatasetName",
    "check",
    "confirm",
    "load",
    "precheck",
    "redact",
]
