"""Inference workers killed at random moments on the team set-up: two at a time on PostgreSQL and Redis."""

from pathlib import Path

import pytest

from tests.faults.killing import Site, kill_repeatedly


@pytest.mark.services
@pytest.mark.faults
def test_two_workers_killed_in_turn_lose_no_item_and_predict_none_twice(
    tmp_path: Path, migrated_postgres_url: str, redis_url: str
) -> None:
    kill_repeatedly(Site(tmp_path, migrated_postgres_url, redis_url), items=100, kills=4, workers=2, dice=1)
