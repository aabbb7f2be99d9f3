"""What has been kept long enough goes, class by class, and nothing that is still referred to."""

from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from annotation.exporting.export_files import folder_of
from annotation.media.store import register, store
from annotation.models import (
    Assignment,
    Delivery,
    Event,
    Export,
    GoldLabel,
    HardSample,
    Item,
    ItemMedia,
    MediaAsset,
    ModelVersion,
    Prediction,
    Regeneration,
    Review,
    SignInAttempt,
    Webhook,
)
from annotation.operations import retention
from annotation.operations.retention import CLASSES, prune
from annotation.review.assign import assign_next
from annotation.review.hidden_gold import make_hidden_gold
from annotation.review.leases import release_expired
from annotation.status import DeliveryState, EventKind, ExportState, ItemStatus, RegenerationState, Role, VersionStatus
from guardapp.env import parse_days
from tests.annotation.exporting.test_export import FLIPPED, review
from tests.annotation.exporting.test_export_files import finish, requested
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


@pytest.fixture
def keep(settings: Settings) -> Any:
    """keep("media", 30): this class for so many days, all others for ever."""

    def set_days(name: str, days: int) -> None:
        settings.RETENTION_DAYS = {**dict.fromkeys(CLASSES, 0), name: days}

    return set_days


def test_ended_webhook_messages_go_and_waiting_ones_stay() -> None:
    hook = Webhook.objects.create(name="hook", url="https://example.org/", events=[])
    states = [
        (DeliveryState.DELIVERED, 31),
        (DeliveryState.FAILED, 31),
        (DeliveryState.DELIVERED, 29),
        (DeliveryState.WAITING, None),
    ]
    for state, days in states:
        Delivery.objects.create(
            webhook=hook,
            event="item.decided",
            payload={},
            state=state,
            created_at=ago(60),
            ended_at=None if days is None else ago(days),
        )
    assert prune(dry_run=True)["messages"] == 2
    assert Delivery.objects.count() == 4
    assert prune()["messages"] == 2
    assert set(Delivery.objects.values_list("state", flat=True)) == {DeliveryState.DELIVERED, DeliveryState.WAITING}


def test_files_of_exports_go_and_their_record_stays() -> None:
    review()
    old, new, running = finish(requested()), finish(requested()), requested()
    Export.objects.filter(pk=old.pk).update(finished_at=ago(15))
    Export.objects.filter(pk=running.pk).update(created_at=ago(30))
    assert prune()["exports"] == 1
    old.refresh_from_db()
    assert (folder_of(old).exists(), folder_of(new).exists(), old.files.count()) == (False, True, 1)
    assert (old.pruned_at is not None, prune()["exports"]) == (True, 0)
    assert Export.objects.get(pk=running.pk).state == ExportState.QUEUED


def test_leases_that_ran_out_go_and_those_with_a_review_or_a_person_stay() -> None:
    review()
    make_item()
    held = assign_next(reviewer=make_user(), queue=default_queue())
    assert held is not None
    Assignment.objects.filter(pk=held.pk).update(expires_at=ago(100))
    release_expired()
    Assignment.objects.update(ended_at=ago(91))
    still = assign_next(reviewer=make_user(), queue=default_queue())
    assert prune()["leases"] == 1
    assert not Assignment.objects.filter(pk=held.pk).exists()
    assert still is not None and Assignment.objects.filter(pk=still.pk).exists()
    assert Review.objects.get().assignment_id


def test_of_the_audit_only_who_held_a_decided_item_goes(keep: Any) -> None:
    keep("lease-events", 30)
    decided = review()
    waiting = make_item()
    Event.objects.create(kind=EventKind.ASSIGNED, item=waiting)
    Event.objects.update(at=ago(31))
    kinds = set(Event.objects.filter(item=decided).values_list("kind", flat=True))
    assert prune() == {"lease-events": 1}
    assert kinds - set(Event.objects.filter(item=decided).values_list("kind", flat=True)) == {EventKind.ASSIGNED}
    assert Event.objects.filter(item=waiting).count() == 1


def test_predictions_of_retired_versions_go_where_nobody_judged_or_sees_them(keep: Any) -> None:
    keep("predictions", 30)
    retired = ModelVersion.objects.create(name="old", checkpoint="x", status=VersionStatus.RETIRED)

    def said_of(item: Item) -> Prediction:
        return Prediction.objects.create(item=item, version=retired, completion="", parsed=False)

    gone = said_of(review())
    reviewed, settled, hard, shown, redone = (said_of(review()) for _ in range(5))
    Review.objects.filter(item=reviewed.item).update(prediction=reviewed)
    GoldLabel.objects.filter(item=settled.item).update(prediction=settled)
    HardSample.objects.create(gold=GoldLabel.objects.get(item=hard.item), prediction=hard)
    Item.objects.filter(pk=shown.item_id).update(prediction=shown)
    Regeneration.objects.create(
        item=redone.item, prediction=redone, reviewer=make_user(), kept=[], state=RegenerationState.DONE
    )
    young, open_one = said_of(review()), said_of(make_item())
    Prediction.objects.exclude(pk=young.pk).update(created_at=ago(31))
    assert prune() == {"predictions": 1}
    left = set(Prediction.objects.filter(version=retired).values_list("pk", flat=True))
    assert left == {one.pk for one in (open_one, reviewed, settled, hard, shown, redone, young)}
    assert gone.pk not in left


def test_originals_go_when_decided_and_come_back_when_they_are_sent_again(
    keep: Any, png: bytes, settings: Settings
) -> None:
    keep("media", 30)
    settings.KEEP_METADATA = True  # the files differ in what follows the picture

    def with_file(item: Item, number: int) -> MediaAsset:
        stored = store(png + bytes([number]))
        asset = MediaAsset.objects.get(pk=register([stored])[stored.sha256])
        ItemMedia.objects.create(item=item, asset=asset)
        return asset

    decided, hard, used, known, young, sharing = review(), review(FLIPPED), review(), review(), review(), review()
    waiting = make_item()
    assets = [with_file(item, number) for number, item in enumerate((decided, hard, used, known, young, waiting))]
    shared = with_file(sharing, 9)
    ItemMedia.objects.create(item=waiting, asset=shared, position=1)  # an open item has it too
    MediaAsset.objects.update(created_at=ago(60))
    GoldLabel.objects.exclude(item=young).update(settled_at=ago(31))
    GoldLabel.objects.filter(item=used).update(used_at=ago(31))
    make_hidden_gold(item=Item.objects.get(pk=known.pk), by=make_user(Role.LEAD))
    assert HardSample.objects.filter(gold__item=hard).exists()
    assert prune() == {"media": 1}
    root = Path(settings.MEDIA_ROOT)
    assert [(root / asset.path).exists() for asset in (*assets, shared)] == [False, True, True, True, True, True, True]
    assert prune() == {"media": 0}
    again = store(png + bytes([0]))
    register([again])
    assert (root / again.path).exists()
    assert MediaAsset.objects.get(sha256=again.sha256).deleted_at is None


def test_a_run_stops_after_its_time_and_goes_on_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    SignInAttempt.objects.bulk_create(SignInAttempt(key="k", at=ago(31)) for _ in range(5))
    monkeypatch.setattr(retention, "BLOCK", 2)
    assert prune(seconds=0)["sign-ins"] == 2
    assert prune()["sign-ins"] == 3
    assert not SignInAttempt.objects.exists()


def test_the_command_says_what_would_go() -> None:
    SignInAttempt.objects.create(key="k", at=ago(31))
    said = StringIO()
    call_command("prune", dry_run=True, stdout=said)
    assert "sign-ins: 1 would go after 30 days" in said.getvalue()
    assert "media: kept for ever" in said.getvalue()
    call_command("prune", only="messages", stdout=said)
    assert SignInAttempt.objects.exists()
    call_command("prune", stdout=said)
    assert not SignInAttempt.objects.exists()


def test_the_setting_names_every_class_and_refuses_what_it_does_not_know(settings: Settings) -> None:
    assert parse_days("GUARDAPP_RETENTION", "messages=7, media=180", CLASSES) == {"messages": 7, "media": 180}
    for wrong in ("messages", "messages=soon", "letters=3"):
        with pytest.raises(ImproperlyConfigured, match="NAME=DAYS"):
            parse_days("GUARDAPP_RETENTION", wrong, CLASSES)
    assert set(settings.RETENTION_CLASSES) == set(CLASSES)


def test_an_item_that_is_open_keeps_all(keep: Any) -> None:
    item = make_item(status=ItemStatus.ESCALATED)
    assert item.prediction is not None
    Regeneration.objects.create(
        item=item,
        prediction=item.prediction,
        reviewer=make_user(),
        kept=[],
        state=RegenerationState.DONE,
        finished_at=ago(91),
    )
    keep("regenerations", 90)
    assert prune() == {"regenerations": 0}
    Item.objects.update(status=ItemStatus.REVIEWED)
    assert prune() == {"regenerations": 1}
