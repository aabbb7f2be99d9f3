"""A queue of one group, and somebody who has left it."""

import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from annotation.models import (
    Assignment,
    Fingerprint,
    Item,
    MediaAsset,
    Prediction,
    Regeneration,
    ReviewQueue,
    SavedFilter,
    User,
)
from annotation.review.assign import assign_next
from annotation.review.decision import Decision
from annotation.review.flags import toggle_flag
from annotation.review.submit import submit_review
from annotation.status import AssignmentState, ReviewKind, Role
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import for_members_only, make_item, make_user

SECRET = "zanzibar"  # in all content of the queue


def signed_in(user: User) -> Client:
    client = Client(raise_request_exception=True)
    client.force_login(user)
    return client


class Circle:
    """A queue of one group. `outsider` left the group with a review, a flag, and a lease that has run out."""

    def __init__(self) -> None:
        self.member, self.outsider, self.lead = make_user(), make_user(), make_user(Role.LEAD)
        self.queue = ReviewQueue.objects.create(slug="closed-circle", name="Closed circle")
        group = for_members_only(self.queue, self.member, self.outsider)
        words = f"{SECRET} is where it will happen, they say, and on a Tuesday"
        self.reviewed, self.item, self.other = (
            make_item(queue=self.queue, prompt=f"{words} {n}", response=SECRET, language="sw") for n in range(3)
        )
        for n, item in enumerate((self.reviewed, self.item, self.other)):
            Item.objects.filter(pk=item.pk).update(external_id=f"{SECRET}-{n}", metadata={"by": SECRET}, source=SECRET)
        self.public = make_item(prompt=f"{words} 0".replace(SECRET, "elsewhere"))
        for one in (self.item, self.public):
            Fingerprint.objects.create(item=one, kind="text", band=0, value=7)
        asset = MediaAsset.objects.create(sha256="ab" * 32, kind="image", mime="image/png", size=3, path="ab/one.png")
        self.item.item_media.create(asset=asset)
        Prediction.objects.filter(item=self.item).update(
            media_seen=[{"folder": f"{SECRET}", "timestamps": [0.0]}], steps=[SECRET, SECRET]
        )
        lease = assign_next(reviewer=self.outsider, queue=self.queue)
        assert lease is not None and lease.item_id == self.reviewed.pk
        self.review = submit_review(
            reviewer=self.outsider,
            token=lease.token,
            idempotency_key=uuid.uuid4().hex,
            decision=Decision(
                kind=ReviewKind.CORRECTED,
                prompt_label=Harmfulness.HARMFUL,
                response_label=Harmfulness.HARMFUL,
                confidence=2,
                note=SECRET,
            ),
        )
        ended = assign_next(reviewer=self.outsider, queue=self.queue)
        assert ended is not None and ended.item.prediction is not None
        self.token = ended.token
        Assignment.objects.filter(pk=ended.pk).update(
            state=AssignmentState.EXPIRED, expires_at=timezone.now() - timedelta(hours=1)
        )
        Regeneration.objects.create(
            item=ended.item, prediction=ended.item.prediction, reviewer=self.outsider, kept=[], steps=[SECRET]
        )
        toggle_flag(user=self.outsider, item=self.item)
        SavedFilter.objects.create(owner=self.lead, name="theirs", query="queue=closed-circle", shared=True)
        group.members.remove(self.outsider)

    def arguments(self, parameters: Iterable[str]) -> dict[str, Any]:
        """Values for the parameters of an address, of the item where they can be."""
        values = {
            "item_id": self.item.pk,
            "prediction_id": self.item.prediction_id,
            "medium": 0,
            "index": 0,
            "sha256": "ab" * 32,
            "token": self.token,
            "review_id": self.review.pk,
            "filter_id": SavedFilter.objects.get().pk,
            "slug": self.queue.slug,
            "prefix": "gk_0",
            "key": "reviewers",
            "name": "manifest.json",
            "chart": "loss",
        }
        return {one: values.get(one, 1) for one in parameters}
