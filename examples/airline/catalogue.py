"""What the airline declares: its domains' contracts, and the purposes it registers."""

from dataclasses import dataclass
from pathlib import Path

import yaml

HOME = Path(__file__).resolve().parent
CONTRACTS = HOME / "contracts"
DOMAINS = ("operations", "weather", "fleet", "bookings")


@dataclass(frozen=True, slots=True)
class Purpose:
    """A purpose to register."""

    id: str
    title: str


def contract_files(domain: str) -> list[Path]:
    """The contracts that a domain publishes."""
    return sorted((CONTRACTS / domain).glob("*.odcs.yaml"))


def purposes() -> list[Purpose]:
    """The purposes, by id."""
    document = yaml.safe_load((HOME / "purposes.yaml").read_text("utf-8"))
    return [Purpose(entry["id"], entry["title"]) for entry in document["purposes"]]
