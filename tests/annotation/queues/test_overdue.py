"""Items that wait longer than their queue allows."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import Item, QueueTally, ReviewQueue
from annotation.queues import counts
from annotation.queues.counts import late_by_queue, queues_with_counts, renew_tallies
from annotation.queues.overdue import late_by
from annotation.status import ItemStatus, Role
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db


def waiting(hours: float, **fields: Any) -> Item:
    return make_item(created_at=timezone.now() - timedelta(hours=hours), **fields)


@pytest.fixture
def queue() -> ReviewQueue:
    """Answers within four hours. Two of its items are late."""
    queue = default_queue(sla_hours=4)
    for item in (waiting(3), waiting(9), waiting(30, status=ItemStatus.ESCALATED)):
        assert item.queue == queue
    waiting(50, status=ItemStatus.REVIEWED)
    waiting(50, round=2)
    waiting(50, queue=ReviewQueue.objects.create(slug="free", name="No hurry"))
    return queue


def test_items_are_late_that_wait_longer_than_their_queue_allows(queue: ReviewQueue) -> None:
    late = [item for item in Item.objects.select_related("queue").order_by("id") if late_by(item, item.queue)]
    assert [item.status for item in late] == [ItemStatus.READY, ItemStatus.ESCALATED]
    over = late_by(late[0], queue)
    assert over is not None and timedelta(hours=4.9) < over < timedelta(hours=5.1)
    assert late_by_queue() == {queue.pk: 2}
    assert {row.queue.slug: row.late for row in queues_with_counts(make_user())} == {"default": 2, "free": 0}


def test_where_many_items_are_stored_the_tally_knows_how_many_are_late(
    queue: ReviewQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew_tallies(force=True)
    assert sum(QueueTally.objects.values_list("late", flat=True)) == 2
    monkeypatch.setattr(counts, "LIVE_UP_TO", 0)
    Item.objects.all().delete()
    assert late_by_queue() == {queue.pk: 2}  # read, not counted


def test_no_queue_with_a_limit_has_no_late_items() -> None:
    waiting(500)
    assert late_by_queue() == {}
    assert renew_tallies(force=True)


def test_pages_say_what_is_late(client: Client, queue: ReviewQueue) -> None:
    Item.objects.filter(created_at__gt=timezone.now() - timedelta(hours=4)).delete()
    client.force_login(make_user(Role.LEAD))
    assert "late by 5 h 0 min" in client.get(reverse("review", args=[queue.slug])).text
    page = client.get(reverse("queues")).text
    assert "2 late" in page
    assert "answered within 4 h" in page
    assert "2 late" in client.get(reverse("home")).text
