"""Near-copies of an item, and one decision on many of them."""

import uuid
from pathlib import Path

import pytest
from django.utils import timezone
from PIL import Image, ImageDraw
from pytest_django import Settings

from annotation.items.bulk_decision import BulkLeadsOnly, BulkUndone, decide_many, undo_many
from annotation.models import BulkDecision, Fingerprint, GoldLabel, Item, Prediction, User
from annotation.predictions.fingerprints import near_items, store_fingerprints
from annotation.review.assign import assign_next
from annotation.status import GoldSource, ItemStatus, Role
from guardapp.guard.media.decode import PRESETS, Job, decode_many
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
SPAM = (
    "Win a free phone today, just send your card number to this address and wait {} days for the parcel to come to you"
)


def with_fingerprints(*items: Item) -> tuple[Item, ...]:
    store_fingerprints([item.prediction for item in items if item.prediction is not None])
    return items


def spam(count: int) -> tuple[Item, ...]:
    return with_fingerprints(*(make_item(prompt=SPAM.format(number)) for number in range(count)))


def decide(by: User, items: list[Item], key: str = "") -> BulkDecision:
    return decide_many(
        by=by, items=items, prompt_label=Harmfulness.UNHARMFUL, note="Spam.", idempotency_key=key or uuid.uuid4().hex
    )


def test_near_copies_of_a_text_are_found_and_others_are_not() -> None:
    first, second, third = spam(3)
    with_fingerprints(make_item(prompt="How do I bake bread without an oven in the mountains?"))
    assert {near.item for near in near_items(first)} == {second, third}
    assert all(near.likeness > 0.5 and near.by == "text" for near in near_items(first))


def test_near_copies_of_a_picture_are_found_by_what_the_guard_saw(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    items = []
    for number, (shape, size) in enumerate([("ellipse", (300, 200)), ("ellipse", (600, 400)), ("line", (300, 200))]):
        picture = Image.new("RGB", size, "white")
        box = (size[0] // 5, size[1] // 5, size[0] // 2, size[1] * 4 // 5)
        getattr(ImageDraw.Draw(picture), shape)(
            box, fill="navy", **({"width": size[0] // 9} if shape == "line" else {})
        )
        picture.save(tmp_path / f"{number}.png")
        decode_many([Job(tmp_path / f"{number}.png", tmp_path / f"frames-{number}")], PRESETS["starter"])
        item = make_item(prompt="Look at this.", modality="text-image")
        assert item.prediction is not None
        item.prediction.media_seen = [{"folder": f"frames-{number}", "timestamps": [0.0]}]
        items.append(item)
    with_fingerprints(*items)
    assert [near.item for near in near_items(items[0])] == [items[1]]
    assert near_items(items[0])[0].by == "image"


def test_fingerprints_are_replaced_not_added() -> None:
    (item,) = spam(1)
    before = Fingerprint.objects.count()
    with_fingerprints(item)
    assert Fingerprint.objects.count() == before == 8


def test_a_lead_decides_on_all_that_wait_and_sees_the_rest() -> None:
    lead, items = make_user(Role.LEAD), list(spam(4))
    held = assign_next(reviewer=make_user(), queue=default_queue())
    assert held is not None
    answered = make_item(prompt=SPAM.format("many"), response="Sure.")
    bulk = decide(lead, [*items, answered])
    assert bulk.reviews.count() == 3
    assert bulk.skipped[str(held.item_id)] == "somebody holds it"
    assert "say whether the response" in bulk.skipped[str(answered.pk)]
    assert set(GoldLabel.objects.values_list("source", flat=True)) == {GoldSource.BULK}


def test_the_same_key_is_one_decision() -> None:
    lead, items = make_user(Role.LEAD), list(spam(2))
    assert decide(lead, items, "a-key-of-one") == decide(lead, items, "a-key-of-one")
    assert GoldLabel.objects.count() == 2


def test_a_bulk_decision_is_undone_as_far_as_no_snapshot_used_it() -> None:
    lead, items = make_user(Role.LEAD), list(spam(3))
    bulk = decide(lead, items)
    GoldLabel.objects.filter(item=items[0]).update(used_at=timezone.now())
    assert undo_many(bulk=bulk, by=lead) == {str(items[0].pk): "a snapshot has used it"}
    assert set(Item.objects.filter(status=ItemStatus.READY)) == set(items[1:])
    assert GoldLabel.objects.standing().count() == 1
    with pytest.raises(BulkUndone):
        undo_many(bulk=bulk, by=lead)
    again = assign_next(reviewer=make_user(), queue=default_queue())
    assert again is not None and again.item in items[1:]


def test_only_leads_decide_in_bulk() -> None:
    with pytest.raises(BulkLeadsOnly):
        decide(make_user(), list(spam(1)))
    assert not Prediction.objects.filter(reviews__isnull=False).exists()
