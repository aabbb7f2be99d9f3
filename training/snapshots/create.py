"""Immutable datasets: standing gold → a JSONL file named by its sha256, split so that near-copies share a side."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_noop

from annotation.database import clock
from annotation.models import Event, GoldLabel, User
from annotation.predictions.production import production_or_none
from annotation.review.gold import mark_used
from annotation.status import EventKind, ItemStatus, TargetSource
from training.errors import BenchmarkNotTrainedOn, GoldChanged, NotEnoughGold, SnapshotDamaged, SnapshotNameTaken
from training.files import file_of
from training.models import DatasetSnapshot, SnapshotRow
from training.snapshots.pinned_file import pin
from training.snapshots.rows import Drops, GoldRow, gold_rows
from training.snapshots.split import places
from training.status import SnapshotOrigin, Split

# Fewer rows can neither train nor measure anything.
MIN_TRAIN, MIN_HOLDOUT = 8, 2


@dataclass(frozen=True, slots=True)
class SnapshotFilters:
    """Which gold to include; empty means all."""

    sources: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()  # slugs
    modalities: tuple[str, ...] = ()
    hard_only: bool = False
    settled_before: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        before = self.settled_before.isoformat() if self.settled_before else None
        return {**asdict(self), "settled_before": before}


def create_snapshot(*, created_by: User, name: str = "", filters: SnapshotFilters) -> DatasetSnapshot:
    """Write the standing gold as a snapshot and mark it as used. A failure leaves neither a row nor a file.

    Raises NotEnoughGold, GoldChanged or SnapshotNameTaken.
    """
    name = name.strip() or _next_name()
    if DatasetSnapshot.objects.filter(name=name).exists():
        raise SnapshotNameTaken
    drops = Drops()
    production = production_or_none()
    gold = eligible_gold(filters).iterator(chunk_size=500)
    placed = _placed(
        list(gold_rows(gold, drops, with_policy=production is not None and production.takes_policy)), drops
    )
    _refuse_too_little(placed)
    lines = (gold.row.as_json(Path(settings.MEDIA_ROOT)) for gold in placed)
    try:
        with pin(lines, Path(settings.SNAPSHOTS_DIR)) as pinned, transaction.atomic():
            snapshot = DatasetSnapshot.objects.create(
                name=name,
                sha256=pinned.sha256,
                path=pinned.name,
                created_by=created_by,
                counts=_counts(placed, drops, filters),
            )
            SnapshotRow.objects.bulk_create(
                [
                    SnapshotRow(snapshot=snapshot, gold_id=gold.gold_id, split=gold.row.split, group_key=gold.row.group)
                    for gold in placed
                ],
                batch_size=500,
            )
            if mark_used(gold_ids=[gold.gold_id for gold in placed]) != len(placed):
                raise GoldChanged
            Event.objects.create(
                kind=EventKind.SNAPSHOT_CREATED, actor=created_by, detail={"snapshot": name, "rows": len(placed)}
            )
            pinned.place()
    except IntegrityError as error:
        raise SnapshotNameTaken from error
    return snapshot


def eligible_gold(filters: SnapshotFilters) -> QuerySet[GoldLabel]:
    """Standing gold whose settle window has passed, oldest first, without that of withdrawn items."""
    gold = GoldLabel.objects.standing().filter(settled_at__lte=filters.settled_before or clock.now())
    gold = gold.exclude(item__status=ItemStatus.WITHDRAWN)
    if filters.sources:
        gold = gold.filter(item__source__in=filters.sources)
    if filters.queues:
        gold = gold.filter(item__queue__slug__in=filters.queues)
    if filters.modalities:
        gold = gold.filter(item__modality__in=filters.modalities)
    if filters.hard_only:
        gold = gold.filter(hard_sample__isnull=False)
    related = gold.select_related("item", "item__prediction", "prediction", "hard_sample", "policy_version__policy")
    return related.prefetch_related("item__item_media__asset").order_by("id")


def verify_trainable(snapshot: DatasetSnapshot) -> None:
    """Check that the snapshot may be trained on. Raises BenchmarkNotTrainedOn or SnapshotDamaged."""
    if snapshot.origin == SnapshotOrigin.BENCHMARK:
        raise BenchmarkNotTrainedOn
    verify_snapshot(snapshot)


def verify_snapshot(snapshot: DatasetSnapshot) -> None:
    """Check the hash of the snapshot's file. Raises SnapshotDamaged."""
    try:
        with file_of(snapshot).open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        raise SnapshotDamaged from None
    if sha256 != snapshot.sha256:
        raise SnapshotDamaged


def _placed(rows: Sequence[GoldRow], drops: Drops) -> list[GoldRow]:
    """Assign side and group to each row. Train rows without a usable target are dropped."""
    placed = []
    for gold, place in zip(rows, places(rows), strict=True):
        if place.twice:
            drops.add(gettext_noop("trained on before, and now a near-copy of held-out rows"))
        elif place.side == Split.TRAIN and gold.why_not_train:
            drops.add(gold.why_not_train)
        else:
            placed.append(replace(gold, row=replace(gold.row, split=place.side.value, group=place.group)))
    return placed


def _refuse_too_little(placed: Sequence[GoldRow]) -> None:
    train = sum(gold.row.split == Split.TRAIN for gold in placed)
    holdout = len(placed) - train
    if train < MIN_TRAIN or holdout < MIN_HOLDOUT:
        waiting = GoldLabel.objects.standing().filter(target_source=TargetSource.PENDING).count()
        raise NotEnoughGold(
            train=train, holdout=holdout, need_train=MIN_TRAIN, need_holdout=MIN_HOLDOUT, waiting=waiting
        )


def _counts(placed: Sequence[GoldRow], drops: Drops, filters: SnapshotFilters) -> dict[str, Any]:
    splits = Counter(gold.row.split for gold in placed)
    return {
        "train": splits[Split.TRAIN],
        "holdout": splits[Split.HOLDOUT],
        "hard": sum(gold.hard for gold in placed),
        "by_modality": dict(Counter(gold.row.sample.modality.value for gold in placed)),
        "by_source": dict(Counter(gold.row.source for gold in placed)),
        "by_target": dict(Counter(gold.row.target_source for gold in placed if gold.row.split == Split.TRAIN)),
        "by_prompt_label": dict(Counter(str(gold.row.verdict.prompt) for gold in placed)),
        "policy_versions": dict(Counter(gold.policy_version for gold in placed)),
        "groups": len({gold.row.group for gold in placed}),
        "dropped": dict(drops.counts),
        "filters": filters.as_json(),
    }


def _next_name() -> str:
    newest = DatasetSnapshot.objects.order_by("-id").values_list("id", flat=True).first() or 0
    return f"snapshot-{newest + 1}"
