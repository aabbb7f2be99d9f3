"""Full-text search on SQLite survives migrations that make the table of items anew."""

import pytest
from django.core.management.sql import emit_post_migrate_signal
from django.db import connection

from annotation.database.search_triggers import TRIGGERS
from annotation.items.search import ItemSearch
from tests.factories import make_item

pytestmark = pytest.mark.django_db


def triggers() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        return {name for (name,) in cursor.fetchall()}


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has an index instead")
def test_lost_triggers_come_back_after_a_migration_with_what_was_written_meanwhile() -> None:
    assert triggers() == set(TRIGGERS), "the migrations themselves lose none"
    with connection.cursor() as cursor:
        for name in TRIGGERS:
            cursor.execute(f"DROP TRIGGER {name}")
    item = make_item(prompt="How do I bake bread?")
    assert not ItemSearch(text="bread").items().exists()
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
    assert triggers() == set(TRIGGERS)
    assert list(ItemSearch(text="bread").items()) == [item]
