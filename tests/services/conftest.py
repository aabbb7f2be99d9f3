"""The team set-up's real PostgreSQL and Redis: a database of the test's own, dropped afterwards."""

import os
import uuid
from collections.abc import Iterator

import psycopg
import pytest
import redis

from tests.absence import absent

POSTGRES = os.environ.get("GUARDAPP_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432")
REDIS = os.environ.get("GUARDAPP_TEST_REDIS", "redis://127.0.0.1:6379/9")


@pytest.fixture
def postgres_url() -> Iterator[str]:
    name = f"guardapp_test_{uuid.uuid4().hex[:8]}"
    try:
        server = psycopg.connect(f"{POSTGRES}/postgres", autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        absent("PostgreSQL cannot be reached")
    with server:
        server.execute(f'CREATE DATABASE "{name}"')
        yield f"{POSTGRES}/{name}"
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def redis_url() -> Iterator[str]:
    client = redis.Redis.from_url(REDIS, socket_connect_timeout=3)
    try:
        client.ping()
    except redis.exceptions.ConnectionError:
        absent("Redis cannot be reached")
    yield REDIS
    client.flushdb()
    client.close()
