"""The team set-up's real PostgreSQL and Redis: a database of the test's own, dropped afterwards."""

import io
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
import redis
from PIL import Image

from tests.absence import absent

POSTGRES = os.environ.get("GUARDAPP_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432")
REDIS = os.environ.get("GUARDAPP_TEST_REDIS", "redis://127.0.0.1:6379/9")


@contextmanager
def fresh_database() -> Iterator[str]:
    name = f"guardapp_test_{uuid.uuid4().hex[:8]}"
    try:
        server = psycopg.connect(f"{POSTGRES}/postgres", autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        absent("PostgreSQL cannot be reached")
    with server:
        server.execute(f'CREATE DATABASE "{name}"')
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
    with fresh_database() as url:
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
