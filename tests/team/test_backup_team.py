"""Backup and restore on PostgreSQL, by pg_dump and pg_restore."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.absence import absent
from tests.team.conftest import POSTGRES
from tests.training.installation.backup_site import Site, backed_up_and_restored


@pytest.fixture
def empty_url() -> Iterator[str]:
    with psycopg.connect(f"{POSTGRES}/postgres", autocommit=True, connect_timeout=3) as server:
        server.execute("CREATE DATABASE guardapp_test_restored")
        yield f"{POSTGRES}/guardapp_test_restored"
        server.execute("DROP DATABASE guardapp_test_restored WITH (FORCE)")


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.timeout(960)
def test_a_team_s_database_is_backed_up_and_restored(
    tmp_path: Path, migrated_postgres_url: str, empty_url: str
) -> None:
    if shutil.which("pg_dump") is None:
        absent("pg_dump is not installed")
    backed_up_and_restored(
        Site(tmp_path / "old", migrated_postgres_url), Site(tmp_path / "new", empty_url), tmp_path / "backup"
    )
