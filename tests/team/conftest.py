"""The team set-up's real PostgreSQL and Redis: a database of the test's own, dropped afterwards."""

import io
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
import redis
from PIL import Image

from tests.absence import absent
from tests.paths import ROOT

POSTGRES = os.environ.get("GUARDAPP_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432")
# tests of two workers empty it, and Celery's messages of one must not reach the other; Redis has sixteen
NUMBER = 9 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 7
REDIS = os.environ.get("GUARDAPP_TEST_REDIS", f"redis://127.0.0.1:6379/{NUMBER}")


@contextmanager
def fresh_database(template: str = "template1") -> Iterator[str]:
    name = f"guardapp_test_{uuid.uuid4().hex[:8]}"
    try:
        server = psycopg.connect(f"{POSTGRES}/postgres", autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        absent("PostgreSQL cannot be reached")
    with server:
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        yield f"{POSTGRES}/{name}"
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def empty_redis() -> Iterator[str]:
    client = redis.Redis.from_url(REDIS, socket_connect_timeout=3)
    try:
        client.ping()
    except redis.exceptions.ConnectionError:
        absent("Redis cannot be reached")
    yield REDIS
    client.flushdb()
    client.close()


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """An empty database."""
    with fresh_database() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a database that a worker migrates once, for others to be copied from."""
    with fresh_database() as url:
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": url, "GUARDAPP_DATA": str(tmp_path_factory.mktemp("template"))},
            check=True,
            timeout=240,
        )
        yield url.rpartition("/")[2]


@pytest.fixture
def migrated_postgres_url(migrated_template: str) -> Iterator[str]:
    with fresh_database(migrated_template) as url:
        yield url


@pytest.fixture(scope="module")
def team_postgres() -> Iterator[str]:
    """One database for the tests of a file."""
    with fresh_database() as url:
        yield url


@pytest.fixture
def redis_url() -> Iterator[str]:
    with empty_redis() as url:
        yield url


@pytest.fixture(scope="module")
def team_redis() -> Iterator[str]:
    with empty_redis() as url:
        yield url


@pytest.fixture
def png() -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (64, 48), (20, 120, 220)).save(written, "PNG")
    return written.getvalue()
