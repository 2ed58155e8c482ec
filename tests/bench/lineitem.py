"""TPC-H's lineitem at scale 1, and three products over the same file."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

DOMAIN, ROLE = "sales", "analyst"
# Every row group has other suppliers too, so the filter is evaluated on every row.
ROW_FILTER = {"column": "l_suppkey", "op": "ne", "value": 1}
_COLUMNS = {
    "l_orderkey": ("integer", "BIGINT"),
    "l_partkey": ("integer", "BIGINT"),
    "l_suppkey": ("integer", "BIGINT"),
    "l_linenumber": ("integer", "INTEGER"),
    "l_quantity": ("number", "DECIMAL(15,2)"),
    "l_extendedprice": ("number", "DECIMAL(15,2)"),
    "l_discount": ("number", "DECIMAL(15,2)"),
    "l_tax": ("number", "DECIMAL(15,2)"),
    "l_returnflag": ("string", "VARCHAR"),
    "l_linestatus": ("string", "VARCHAR"),
    "l_shipdate": ("date", "DATE"),
    "l_commitdate": ("date", "DATE"),
    "l_receiptdate": ("date", "DATE"),
    "l_shipinstruct": ("string", "VARCHAR"),
    "l_shipmode": ("string", "VARCHAR"),
    "l_comment": ("string", "VARCHAR"),
}


@dataclass(frozen=True, slots=True)
class Product:
    """A way of declaring the file: masks by column, and whether rows are filtered."""

    name: str
    masks: Mapping[str, str]
    filtered: bool = False


OPEN = Product("plain", {})
MASKED = Product("masked", {"l_shipinstruct": "constant", "l_comment": "constant"}, filtered=True)
KEYED = Product("keyed", {"l_partkey": "pseudonym", "l_comment": "pseudonym"})
PRODUCTS = (OPEN, MASKED, KEYED)

ALL_COLUMNS = "SELECT * FROM {table}"
CLEAR_COLUMNS = (
    "SELECT " + ", ".join(c for c in _COLUMNS if c not in MASKED.masks) + " FROM {table}"
)
Q1 = """
SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty,
  sum(l_extendedprice) AS sum_base_price,
  sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price,
  sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS sum_charge,
  avg(l_quantity) AS avg_qty, avg(l_extendedprice) AS avg_price,
  avg(l_discount) AS avg_disc, count(*) AS count_order
FROM {table} WHERE l_shipdate <= DATE '1998-09-02'
GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus"""


def generated(cache: Path) -> Path:
    """The folder with lineitem.parquet, made once."""
    folder = cache / "tpch"
    if not (folder / "lineitem.parquet").exists():
        fresh = cache / "tpch.new"
        generator = str(Path(sys.executable).with_name("tpchgen-cli"))
        options = ("--tables", "lineitem", "--output-dir", str(fresh), "--overwrite", "--quiet")
        subprocess.run([generator, "parquet", "-s", "1", *options], check=True)
        folder.mkdir(exist_ok=True)
        (fresh / "lineitem.parquet").replace(folder / "lineitem.parquet")
        fresh.rmdir()
    return folder


def write_contracts(folder: Path) -> None:
    """One contract per product."""
    folder.mkdir()
    for product in PRODUCTS:
        path = folder / f"{product.name}.odcs.yaml"
        path.write_text(yaml.safe_dump(_contract(product), sort_keys=False), encoding="utf-8")


def _contract(product: Product) -> dict[str, object]:
    role: dict[str, object] = {"role": ROLE}
    if product.filtered:
        role["customProperties"] = [{"property": "mesh.rowFilter", "value": ROW_FILTER}]
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"tpch-{product.name}",
        "version": "1.0.0",
        "status": "active",
        "domain": DOMAIN,
        "name": product.name,
        "team": {"name": "Sales", "members": [{"username": "olga", "role": "owner"}]},
        "servers": [{"server": "files", "type": "local", "path": ".", "format": "parquet"}],
        "roles": [role],
        "schema": [
            {
                "name": "lineitem",
                "physicalName": "lineitem.parquet",
                "properties": [_column(name, product.masks.get(name)) for name in _COLUMNS],
            }
        ],
    }


def _column(name: str, mask: str | None) -> dict[str, object]:
    logical, physical = _COLUMNS[name]
    column: dict[str, object] = {
        "name": name,
        "logicalType": logical,
        "physicalType": physical,
        "classification": "public" if mask is None else "confidential",
    }
    if mask is not None:
        column["customProperties"] = [{"property": "mesh.mask", "value": mask}]
    return column
