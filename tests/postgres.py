"""One PostgreSQL server for the tests of a session, and a fresh database for each test."""

import os
from collections.abc import Iterator

import pytest

from control_plane.database import migrate
from control_plane.postgres import open_postgres
from examples.airline.postgres import Postgres, missing_parts


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A server that ends with the session; skipped where its programs are missing, not in CI."""
    missing = missing_parts()
    if missing and os.environ.get("CI") != "true":
        pytest.skip(missing)
    with Postgres({"fsync": "off", "max_connections": "200"}) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres_server: Postgres) -> str:
    """The name of a database with every migration applied, to copy."""
    name = postgres_server.create()
    engine = open_postgres(postgres_server.url(name))
    migrate(engine)
    engine.dispose()
    return name


@pytest.fixture
def empty_postgres(postgres_server: Postgres) -> Iterator[str]:
    """The URL of an empty database of the test's own."""
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def migrated_postgres(postgres_server: Postgres, migrated_template: str) -> Iterator[str]:
    """The URL of a database of the test's own, at the newest migration."""
    name = postgres_server.create(migrated_template)
    yield postgres_server.url(name)
    postgres_server.drop(name)
