"""Many reviewers at once on one database: a program, so that it can run on any DATABASE_URL. Prints one JSON object.

Each thread is a person: takes the next item, then mostly submits (sometimes twice at once), sometimes skips or lets the lease run out.
"""

import json
import os
import random
import sys
import threading
import uuid
from collections import Counter
from datetime import timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardapp.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from annotation.models import Assignment, GoldLabel, Item, Review, User  # noqa: E402
from annotation.services.assignment import assign_next  # noqa: E402
from annotation.services.decisions import Decision  # noqa: E402
from annotation.services.review import skip, submit_review  # noqa: E402
from annotation.status import AssignmentState, ItemStatus, ReviewKind  # noqa: E402
from guardapp.guard.taxonomy import Harmfulness  # noqa: E402
from tests.factories import default_queue, make_item, make_user  # noqa: E402


def work(reviewer: User, seed: int, errors: list[str]) -> None:
    chance = random.Random(seed)
    queue = default_queue()
    try:
        while (assignment := assign_next(reviewer=reviewer, queue=queue)) is not None:
            roll = chance.random()
            if roll < 0.05:
                skip(reviewer=reviewer, token=assignment.token)
            elif roll < 0.1:
                Assignment.objects.filter(pk=assignment.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
            else:
                decide(assignment, uuid.uuid4().hex, twice=roll > 0.8)
    except Exception as error:  # noqa: BLE001 - a thread's death must reach the report, whatever it was
        errors.append(f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def decide(assignment: Assignment, key: str, *, twice: bool) -> None:
    decision = Decision(kind=ReviewKind.ACCEPTED, prompt_label=Harmfulness.HARMFUL)
    for _ in range(2 if twice else 1):
        submit_review(reviewer=assignment.reviewer, token=assignment.token, idempotency_key=key, decision=decision)


def main(items: int, people: int, reviews_per_item: int) -> None:
    call_command("migrate", verbosity=0)
    queue = default_queue(reviews_per_item=reviews_per_item)
    for _ in range(items):
        make_item(queue=queue)
    errors: list[str] = []
    threads = [threading.Thread(target=work, args=(make_user(), seed, errors)) for seed in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    per_item = Counter(Review.objects.values_list("item_id", flat=True))
    pairs = Counter(Review.objects.values_list("item_id", "reviewer_id"))
    print(json.dumps({
        "errors": errors, "items": items, "reviewed": Item.objects.filter(status=ItemStatus.REVIEWED).count(),
        "most_reviews_an_item": max(per_item.values()), "most_reviews_a_person_and_item": max(pairs.values()),
        "reviews": sum(per_item.values()), "gold": GoldLabel.objects.filter(withdrawn_at__isnull=True).count(),
        "active_left": Assignment.objects.filter(state=AssignmentState.ACTIVE).count(),
        "slots_left": sum(Item.objects.values_list("free_slots", flat=True)),
    }))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
