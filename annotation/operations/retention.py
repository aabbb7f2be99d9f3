"""Retention: deletes old objects by class after a number of days; 0 days keeps them forever.

Objects referred to by a snapshot, hard sample, gold label, hidden gold, appeal or open item are kept. Rows are deleted
in blocks, each in its own transaction, so a killed run keeps its progress.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q, QuerySet

from annotation.database import clock
from annotation.exporting.export_files import delete_files
from annotation.media import bucket
from annotation.media.files import delete_copies
from annotation.models import (
    Appeal,
    Assignment,
    Delivery,
    Event,
    Export,
    GoldLabel,
    HardSample,
    Item,
    ItemMedia,
    MediaAsset,
    Prediction,
    Regeneration,
    Review,
    ShadowRequest,
    SignInAttempt,
)
from annotation.status import (
    AppealState,
    AssignmentState,
    DeliveryState,
    EventKind,
    ExportState,
    ItemStatus,
    RegenerationState,
    VersionStatus,
)

BLOCK = 1_000
# per run; the rest is deleted in the next one
SECONDS = 60.0
# lease events; decisions have other kinds and are kept
ROUTINE = (EventKind.ASSIGNED, EventKind.RELEASED)


@dataclass(frozen=True, slots=True)
class Kept:
    """A class of objects.

    `old` finds the unneeded objects that ended before a given time; `delete` deletes a block of them.
    """

    days: int  # default; settings may override it
    what: str
    old: Callable[[datetime], QuerySet[Any]]
    delete: Callable[[QuerySet[Any]], object]


def _rows(found: QuerySet[Any]) -> object:
    return found.delete()


def _messages(before: datetime) -> QuerySet[Delivery]:
    return Delivery.objects.filter(state__in=[DeliveryState.DELIVERED, DeliveryState.FAILED], ended_at__lt=before)


def _exports(before: datetime) -> QuerySet[Export]:
    return Export.objects.filter(
        state__in=[ExportState.DONE, ExportState.FAILED], pruned_at__isnull=True, finished_at__lt=before
    )


def _files(found: QuerySet[Any]) -> None:
    for export in found:
        delete_files(export=export)


def _leases(before: datetime) -> QuerySet[Assignment]:
    """Expired leases without a review.

    They can be deleted because the person may get the item again anyway.
    """
    return Assignment.objects.filter(state=AssignmentState.EXPIRED, ended_at__lt=before, review__isnull=True)


def _lease_events(before: datetime) -> QuerySet[Event]:
    return Event.objects.filter(~Exists(_open_items(OuterRef("item"))), kind__in=ROUTINE, at__lt=before)


def _predictions(before: datetime) -> QuerySet[Prediction]:
    """Predictions of retired versions that nobody sees or has judged."""
    referring: list[QuerySet[Any]] = [
        Item.objects.filter(prediction=OuterRef("pk")),
        Review.objects.filter(prediction=OuterRef("pk")),
        GoldLabel.objects.filter(prediction=OuterRef("pk")),
        HardSample.objects.filter(prediction=OuterRef("pk")),
        Regeneration.objects.filter(prediction=OuterRef("pk")),
        _open_items(OuterRef("item")),
    ]
    old = Prediction.objects.filter(version__status=VersionStatus.RETIRED, created_at__lt=before)
    for rows in referring:
        old = old.filter(~Exists(rows))
    return old


def _regenerations(before: datetime) -> QuerySet[Regeneration]:
    done = [RegenerationState.DONE, RegenerationState.FAILED]
    return Regeneration.objects.filter(~Exists(_open_items(OuterRef("item"))), state__in=done, finished_at__lt=before)


def _shadow_requests(before: datetime) -> QuerySet[ShadowRequest]:
    """Shadow requests that used up their attempts, or whose version is retired."""
    return ShadowRequest.objects.filter(~Q(error="") | Q(version__status=VersionStatus.RETIRED), created_at__lt=before)


def _sign_ins(before: datetime) -> QuerySet[SignInAttempt]:
    return SignInAttempt.objects.filter(at__lt=before)


def _media(before: datetime) -> QuerySet[MediaAsset]:
    """Original files of decided items.

    The frames that the guard saw are kept, so the gold remains usable for training.
    """
    needed = Q(item__status__in=OPEN) | Q(item__hidden_gold__isnull=False)
    young = GoldLabel.objects.filter(item=OuterRef("item"), settled_at__gte=before)
    used = GoldLabel.objects.filter(Q(used_at__isnull=False) | Q(hard_sample__isnull=False), item=OuterRef("item"))
    appealed = Appeal.objects.filter(item=OuterRef("item"), state=AppealState.OPEN)
    holding = ItemMedia.objects.filter(needed | Exists(young) | Exists(used) | Exists(appealed), asset=OuterRef("pk"))
    return MediaAsset.objects.filter(~Exists(holding), deleted_at__isnull=True, created_at__lt=before)


def _originals(found: QuerySet[Any]) -> None:
    """Delete the files and their copies for browsers; keep their rows as a record. The same bytes may be sent again."""
    assets = list(found.values_list("pk", "path", "sha256"))
    MediaAsset.objects.filter(pk__in=[pk for pk, _, _ in assets]).update(deleted_at=clock.now())
    for _, path, sha256 in assets:
        (Path(settings.MEDIA_ROOT) / path).unlink(missing_ok=True)
        delete_copies(sha256)


OPEN = [status for status in ItemStatus if status not in (ItemStatus.REVIEWED, ItemStatus.WITHDRAWN)]


def _open_items(pk: OuterRef) -> QuerySet[Item]:
    return Item.objects.filter(pk=pk, status__in=OPEN)


CLASSES: Mapping[str, Kept] = {
    "messages": Kept(30, "webhook messages that were taken or have failed", _messages, _rows),
    "exports": Kept(14, "files of exports; the row and the sums stay", _exports, _files),
    "leases": Kept(90, "leases that ran out undecided", _leases, _rows),
    "lease-events": Kept(0, "who held which decided item; decisions stay", _lease_events, _rows),
    "predictions": Kept(0, "what retired versions said, where nobody judged it", _predictions, _rows),
    "regenerations": Kept(90, "steps written again, of decided items", _regenerations, _rows),
    "shadow-requests": Kept(30, "requests of shadow mode that came to nothing", _shadow_requests, _rows),
    "sign-ins": Kept(30, "failed sign-ins", _sign_ins, _rows),
    "media": Kept(
        0, "original files of decided items that no snapshot or hard sample has; frames stay", _media, _originals
    ),
}


def days_of(name: str) -> int:
    return int(settings.RETENTION_DAYS.get(name, CLASSES[name].days))


def prune(*, dry_run: bool = False, only: str = "", seconds: float = SECONDS) -> dict[str, int]:
    """Delete old objects. Returns how many of each class were deleted.

    With `dry_run`, returns how many would be deleted, counting at most BLOCK per class.
    """
    now, deadline = clock.now(), time.monotonic() + seconds
    gone: dict[str, int] = {}
    for name, kept in CLASSES.items():
        days = days_of(name)
        # a bucket has its own lifecycle rules
        if (only and only != name) or not days or (name == "media" and bucket.in_use()):
            continue
        old, model = kept.old(now - timedelta(days=days)), _model(kept)
        gone[name] = 0
        while block := list(old.order_by("pk").values_list("pk", flat=True)[:BLOCK]):
            gone[name] += len(block)
            if dry_run:
                break
            kept.delete(model._default_manager.filter(pk__in=block))
            if time.monotonic() > deadline:
                return gone
    return gone


def _model(kept: Kept) -> type[models.Model]:
    return kept.old(clock.now()).model
