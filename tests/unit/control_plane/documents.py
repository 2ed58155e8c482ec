"""A small contract, with what a test wants to be different."""

import yaml


def contract(
    product: str = "reservations",
    domain: str = "bookings",
    version: str = "1.0.0",
    owners: tuple[str, ...] = ("olga",),
    purposes: tuple[str, ...] = ("crew-planning",),
    status: str = "active",
) -> bytes:
    """An ODCS document of one product with the datasets passengers and bookings."""
    document = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"{domain}-{product}",
        "version": version,
        "status": status,
        "domain": domain,
        "name": product,
        "team": {
            "name": domain,
            "members": [{"username": owner, "role": "owner"} for owner in owners],
        },
        "servers": [{"server": "files", "type": "local", "path": ".", "format": "parquet"}],
        "roles": [{"role": "analyst", "description": "every row"}],
        "schema": [_dataset("passengers"), _dataset("bookings")],
    }
    if purposes:
        document["customProperties"] = [{"property": "mesh.purposes", "value": list(purposes)}]
    text: str = yaml.safe_dump(document, sort_keys=False)
    return text.encode()


def _dataset(name: str) -> dict[str, object]:
    return {
        "name": name,
        "physicalName": f"{name}.parquet",
        "properties": [
            {
                "name": "id",
                "logicalType": "integer",
                "physicalType": "BIGINT",
                "classification": "internal",
            }
        ],
    }
