"""Fill PostgreSQL with items, do the product's hot work once, and print the plan of each statement: python -m
tests.team.plans ITEMS
"""

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardapp.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from annotation.exporting import reviewed_rows  # noqa: E402
from annotation.insights.days import count_days  # noqa: E402
from annotation.items import lists  # noqa: E402
from annotation.items.item_values import item_with_all, page_of_items  # noqa: E402
from annotation.items.search import ItemSearch  # noqa: E402
from annotation.models import GoldLabel, Item, ReviewQueue, User  # noqa: E402
from annotation.predictions.claims import claim_pending, release_stale_claims  # noqa: E402
from annotation.review.assign import assign_next  # noqa: E402
from annotation.review.decision import Decision  # noqa: E402
from annotation.review.item_life import life_of  # noqa: E402
from annotation.review.leases import release_expired  # noqa: E402
from annotation.review.lists import escalated_items, last_reviews  # noqa: E402
from annotation.review.submit import submit_review  # noqa: E402
from annotation.status import ItemStatus, ReviewKind  # noqa: E402
from benchmarks import filling  # noqa: E402
from benchmarks.filling import PEOPLE, QUEUES, fill  # noqa: E402
from benchmarks.scale import ground  # noqa: E402
from guardapp.guard.taxonomy import Harmfulness  # noqa: E402

FILTERS: tuple[dict[str, str], ...] = (
    {},
    {"status": "ready"},
    {"status": "prediction_failed"},
    {"queue": "default"},
    {"lane": "flagged"},
    {"external_id": "item-1999"},
    {"text": "zebra"},
    {"text": "bread"},
    {"q": "item-1999"},
    {"reviewer": "reviewer-7"},
    {"version": "nobody"},
)
CONTROL = "a control: no index serves it"
EXPLAINED = ("SELECT", "UPDATE", "WITH", "INSERT", "DELETE")


def prepare(items: int) -> None:
    call_command("migrate", verbosity=0)
    User.objects.bulk_create(User(username=f"reviewer-{number}") for number in range(PEOPLE))
    for slug in QUEUES:
        ReviewQueue.objects.get_or_create(slug=slug, defaults={"name": slug})
    fill(ground(), 1, items)
    Item.objects.filter(pk__lte=items // 10, status=ItemStatus.READY).update(status=ItemStatus.PENDING)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def next_and_submit() -> None:
    reviewer = User.objects.get(username="reviewer-3")
    held = assign_next(reviewer=reviewer, queue=ReviewQueue.objects.get(slug="default"))
    assert held is not None
    submit_review(
        reviewer=reviewer,
        token=held.token,
        idempotency_key=uuid.uuid4().hex,
        decision=Decision(ReviewKind.ACCEPTED, Harmfulness.UNHARMFUL, Harmfulness.UNHARMFUL),
    )


def chunk_of_export() -> None:
    assert next(reviewed_rows.reviewed_rows(after=GoldLabel.objects.order_by("-pk")[0].pk // 2))


def works() -> Iterator[tuple[str, Callable[[], Any]]]:
    person = User.objects.get(username="reviewer-3")
    reviewed = Item.objects.filter(status=ItemStatus.REVIEWED).order_by("-pk")[0]
    yield "next and submit", next_and_submit
    yield "claim of a batch", lambda: claim_pending(limit=32)
    yield "leases that ran out", release_expired
    yield "claims that ran out", release_stale_claims
    yield "chunk of an export", chunk_of_export
    yield "history of an item", lambda: (life_of(reviewed), item_with_all(reviewed.pk))
    yield "last reviews", lambda: last_reviews(person)
    yield "lists of leads", lambda: (escalated_items(), lists.failed_items())
    for narrowed in FILTERS:
        yield f"items {narrowed}", lambda narrowed=narrowed: lists.items_page(ItemSearch(**narrowed), user=person)  # type: ignore[misc]
        yield f"API items {narrowed}", lambda narrowed=narrowed: page_of_items(ItemSearch(**narrowed))  # type: ignore[misc]
    yield "reviews of a day", count_days
    yield CONTROL, lambda: Item.objects.filter(metadata={"nothing": "has this"}).first()


def plans() -> Iterator[dict[str, Any]]:
    for name, work in works():
        with transaction.atomic():
            with CaptureQueriesContext(connection) as seen:
                work()
            for sql in dict.fromkeys(row["sql"].strip() for row in seen.captured_queries):
                if sql.startswith(EXPLAINED):
                    with connection.cursor() as cursor:
                        cursor.execute(f"EXPLAIN {sql}")
                        yield {"work": name, "sql": sql, "plan": [line for (line,) in cursor.fetchall()]}


if __name__ == "__main__":
    reviewed_rows.CHUNK = 300  # far less than the table holds
    filling.SECONDS_BETWEEN = 120  # four weeks in all: no day holds most reviews, whatever the hour
    prepare(int(sys.argv[1]))
    print(json.dumps(list(plans())))
