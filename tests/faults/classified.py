"""A product with a dataset of each classification, served by the agent of a stage."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from mesh.contracts.values import Classification
from tests.e2e.town import PURPOSE, published
from tests.faults.short_lease import Asking, Plane
from tests.faults.stage import DOMAIN, Sizes

PRODUCT = "classified"
CLASSES = tuple(map(str, Classification))


def serve_each_class(plane: Plane, sizes: Sizes, user: str) -> Mapping[str, Asking]:
    """Start the agent with it, let the user read it, and see that all of it is served."""
    stage = plane.stage
    home = stage.mesh.folder / DOMAIN
    data, products = home / "rows", home / "products"
    for folder in (data, products):
        folder.mkdir(exist_ok=True)
    pq.write_table(pa.table({"id": [1], "what": ["x"]}), data / "rows.parquet")
    contract = products / f"{PRODUCT}.odcs.yaml"
    contract.write_text(yaml.safe_dump(_contract(str(data)), sort_keys=False))
    config = home / "agent.yaml"
    settings = yaml.safe_load(config.read_text())
    changed = {"products": str(products), "roots": [*settings["roots"], str(data)]}
    config.write_text(yaml.safe_dump({**settings, **changed}))
    stage.launch(sizes)
    published(stage.mesh, f"{DOMAIN}.{PRODUCT}")
    stage.agree(f"user:{user}", user, PRODUCT)
    asking = ask_each_class(plane, user)
    for one in asking.values():
        one.until("served")
    return asking


def ask_each_class(plane: Plane, user: str) -> Mapping[str, Asking]:
    """Whom to ask for each class, once the agent serves."""
    uri, token = plane.stage.serving(), plane.stage.token(user)
    assert uri is not None
    return {one: Asking(uri, token, f"SELECT id FROM {PRODUCT}.of_{one}") for one in CLASSES}


def _contract(folder: str) -> dict[str, object]:
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"{DOMAIN}-{PRODUCT}",
        "version": "1.0.0",
        "status": "active",
        "domain": DOMAIN,
        "name": PRODUCT,
        "team": {"name": DOMAIN, "members": [{"username": "olga", "role": "owner"}]},
        "servers": [{"server": "files", "type": "local", "path": folder, "format": "parquet"}],
        "roles": [{"role": "analyst", "description": "every row"}],
        "customProperties": [{"property": "mesh.purposes", "value": [PURPOSE]}],
        "schema": [_dataset(one) for one in CLASSES],
    }


def _dataset(classification: str) -> dict[str, object]:
    return {
        "name": f"of_{classification}",
        "physicalName": "rows.parquet",
        "properties": [
            _column("id", "integer", "BIGINT", "public"),
            _column("what", "string", "VARCHAR", classification),
        ],
    }


def _column(name: str, logical: str, physical: str, classification: str) -> dict[str, object]:
    return {
        "name": name,
        "logicalType": logical,
        "physicalType": physical,
        "classification": classification,
    }
