"""Many reviewers at once on one database: a program, so that it can run on any DATABASE_URL. Prints one JSON object.

A person takes an item and mostly the next one ahead, as the page does, then submits. Now and then they send the same
submit twice at one moment or once more later, undo it and decide again, skip, or let a lease run out and come back
late. People share the connections of a few threads, as behind a web server.
"""

import json
import os
import random
import sys
import threading
import traceback
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardapp.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.utils import timezone  # noqa: E402

from annotation.errors import LeaseExpired  # noqa: E402
from annotation.models import Assignment, Event, GoldLabel, Item, Review, User  # noqa: E402
from annotation.review.assign import assign_next, lease_ahead  # noqa: E402
from annotation.review.decision import Decision  # noqa: E402
from annotation.review.leases import open_ahead  # noqa: E402
from annotation.review.submit import skip, submit_review  # noqa: E402
from annotation.review.undo import undo_review  # noqa: E402
from annotation.status import AssignmentState, EventKind, ItemStatus, ReviewKind  # noqa: E402
from guardapp.guard.taxonomy import Harmfulness  # noqa: E402
from tests.factories import default_queue, make_item  # noqa: E402

THREADS = 16  # connections: 4 web workers of 4 threads
PASSES = 500  # over all people, one item each; a tenth of it is enough
ACCEPTED = Decision(kind=ReviewKind.ACCEPTED, prompt_label=Harmfulness.HARMFUL)
# how many people hold an item or have decided it, by what happens to it
HELD = {EventKind.ASSIGNED: 1, EventKind.SKIPPED: -1, EventKind.RELEASED: -1, EventKind.UNDONE: -1}


@dataclass
class Done:
    """What the people were told, to be compared with what is stored."""

    standing: set[tuple[int, str]] = field(default_factory=set)  # reviewer, idempotency key
    acts: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, act: str) -> None:
        with self.lock:
            self.acts[act] += 1


@dataclass
class Person:
    user: User
    chance: random.Random
    done: Done
    twice: ThreadPoolExecutor  # for the second of two submits at one moment

    def turn(self) -> bool:
        """One item. False: there is none for this person now."""
        try:
            held = assign_next(reviewer=self.user, queue=default_queue())
            if held is None:
                return False
            ahead = lease_ahead(reviewer=self.user, queue=held.queue) if self.chance.random() < 0.7 else None
            self._act(held)
            if ahead is not None:
                open_ahead(reviewer=self.user, token=ahead.token)
        except Exception:  # noqa: BLE001 - whatever it was must reach the report
            self.done.errors.append(traceback.format_exc(limit=-3))
            return False
        return True

    def _act(self, held: Assignment) -> None:
        roll = self.chance.random()
        if roll < 0.05:
            skip(reviewer=self.user, token=held.token)
            self.done.count("skipped")
        elif roll < 0.10:
            self._come_too_late(held)
        else:
            key = uuid.uuid4().hex
            review = self._submit(held, key, twice=roll > 0.8)
            if roll < 0.20:
                undo_review(reviewer=self.user, review_id=review.pk)
                self.done.standing.discard((self.user.pk, key))
                self.done.count("undone")
            elif roll < 0.35:
                assert (
                    submit_review(reviewer=self.user, token=held.token, idempotency_key=key, decision=ACCEPTED).pk
                    == review.pk
                )
                self.done.count("sent again")

    def _submit(self, held: Assignment, key: str, *, twice: bool) -> Review:
        values: dict[str, Any] = {
            "reviewer": self.user,
            "token": held.token,
            "idempotency_key": key,
            "decision": ACCEPTED,
        }
        other = self.twice.submit(submit_review, **values) if twice else None
        review = submit_review(**values)
        if other is not None:
            assert other.result().pk == review.pk
            self.done.count("sent twice")
        self.done.standing.add((self.user.pk, key))
        return review

    def _come_too_late(self, held: Assignment) -> None:
        Assignment.objects.filter(pk=held.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
        try:
            submit_review(reviewer=self.user, token=held.token, idempotency_key=uuid.uuid4().hex, decision=ACCEPTED)
        except LeaseExpired:
            self.done.count("too late")


def work(people: list[Person]) -> int:
    """Turn after turn until nobody finds anything; returns the passes. An item given back late is found in the next
    one.
    """
    with ThreadPoolExecutor(THREADS) as threads:
        for passes in range(1, PASSES + 1):
            if not any(list(threads.map(Person.turn, people))):
                return passes
    return PASSES


def most_at_once() -> int:
    """Over the life of each item, how many people held it or had decided it at one time. Events of an item are written
    under its lock.
    """
    now: Counter[int] = Counter()
    most = 0
    for item, kind in Event.objects.filter(kind__in=HELD).order_by("id").values_list("item_id", "kind"):
        now[item] += HELD[EventKind(kind)]
        most = max(most, now[item])
    return most


def main(items: int, people: int, reviews_per_item: int) -> None:
    call_command("migrate", verbosity=0)
    queue = default_queue(reviews_per_item=reviews_per_item)
    for _ in range(items):
        make_item(queue=queue)
    users = User.objects.bulk_create(User(username=f"person-{number}") for number in range(people))
    done = Done()
    with ThreadPoolExecutor(THREADS) as twice:
        passes = work([Person(user, random.Random(seed), done, twice) for seed, user in enumerate(users)])
    standing = Review.objects.filter(retraction__isnull=True)
    per_item = Counter(standing.values_list("item_id", flat=True))
    pairs = Counter(standing.values_list("item_id", "reviewer_id"))
    print(
        json.dumps(
            {
                "errors": done.errors[:5],
                "items": items,
                "passes": passes,
                "acts": done.acts,
                "most_at_once": most_at_once(),
                "reviewed": Item.objects.filter(status=ItemStatus.REVIEWED).count(),
                "reviewers": len({reviewer for _, reviewer in pairs}),
                "fewest_reviews_an_item": min(per_item.values()),
                "most_reviews_an_item": max(per_item.values()),
                "most_reviews_a_person_and_item": max(pairs.values()),
                "reviews": sum(per_item.values()),
                "lost": len(done.standing - set(standing.values_list("reviewer_id", "idempotency_key"))),
                "unknown": len(set(standing.values_list("reviewer_id", "idempotency_key")) - done.standing),
                "gold": GoldLabel.objects.standing().count(),
                "active_left": Assignment.objects.filter(state=AssignmentState.ACTIVE).count(),
                "slots_left": sum(Item.objects.values_list("free_slots", flat=True)),
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
