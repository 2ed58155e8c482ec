"""A mesh of real processes that serves lineitem: a control plane, an agent, ana's agreements."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import adbc_driver_flightsql.dbapi as flightsql
from adbc_driver_flightsql import DatabaseOptions
from adbc_driver_manager import Error

from examples.airline.processes import Mesh, wait_for_products
from tests.bench.lineitem import DOMAIN, PRODUCTS, ROLE, write_contracts
from tests.e2e.town import rows

PURPOSE = "benchmarks"
_ENFORCED_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Sales:
    """The running mesh, and what ana reads with."""

    mesh: Mesh
    data: Path
    contracts: Path
    token: str

    @property
    def uri(self) -> str:
        """Where the agent serves now."""
        return self.mesh.agents[DOMAIN].ready

    def start_agent(self) -> None:
        """Start the agent and wait until it serves."""
        self.mesh.start_agent(DOMAIN, self.data, self.contracts)

    def connect(self) -> flightsql.Connection:
        """Ana's connection to the agent."""
        return connect(self.uri, self.token)


def connect(uri: str, token: str) -> flightsql.Connection:
    """A connection that names the purpose, as any client of an agent does."""
    header = DatabaseOptions.RPC_CALL_HEADER_PREFIX.value
    options = {
        DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}",
        f"{header}x-mesh-purpose": PURPOSE,
    }
    return flightsql.connect(uri, db_kwargs=options, autocommit=True)


def start_sales(mesh: Mesh, data: Path, inside: Sequence[str] = ()) -> Sales:
    """Everything up: products published, agreements active and enforced.

    `inside` is a command that the agent starts in.
    """
    contracts = mesh.folder / "contracts"
    write_contracts(contracts)
    mesh.start_control_plane()
    mesh.mesh(mesh.admin, "purpose", "add", PURPOSE, "Measure")
    mesh.start_agent(DOMAIN, data, contracts, inside)
    wait_for_products(mesh, len(PRODUCTS))
    ana, olga = mesh.token("ana"), mesh.token("olga", duties=[f"owner:{DOMAIN}"])
    for product in PRODUCTS:
        mesh.mesh(
            ana, "access", "request", f"{DOMAIN}.{product.name}", "--role", ROLE,
            "--purpose", PURPOSE, "--justification", "to measure",
        )  # fmt: skip
    for request in rows(mesh, olga, "access", "list", "--state", "requested"):
        mesh.mesh(olga, "access", "approve", str(request["id"]))
    token = mesh.mesh(ana, "token", "issue", "--domain", DOMAIN).stdout.strip()
    sales = Sales(mesh, data, contracts, token)
    with sales.connect() as connection:
        until(
            lambda: all(_served(connection, product.name) for product in PRODUCTS),
            "the agreements to be enforced",
        )
    return sales


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for a condition. Raises TimeoutError."""
    deadline = time.monotonic() + _ENFORCED_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {_ENFORCED_SECONDS:g} s in vain for {what}")
        time.sleep(0.01)


def _served(connection: flightsql.Connection, product: str) -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT l_orderkey FROM {product}.lineitem LIMIT 1")
            return bool(cursor.fetchall())
    except Error:
        return False
