"""Lineage from item to promotion: predictions, reviews, gold, snapshots, runs, versions, evaluations."""

from collections.abc import Sequence
from dataclasses import dataclass

from annotation.database.lists import long_texts
from annotation.models import GoldLabel, Item, ModelVersion, Prediction, Review
from training.models import DatasetSnapshot, EvaluationRow, Promotion, SnapshotRow, TrainingRun
from training.status import RunKind, Split

# Limit per kind on an item's page, since an item stays in every later snapshot.
NEWEST = 30
ROWS_PAGE = 50
ANCESTORS = 20


@dataclass(frozen=True, slots=True)
class Place:
    """Gold in a snapshot, and the runs that trained on it. `runs` is empty for a held-out row."""

    row: SnapshotRow
    runs: Sequence[TrainingRun]

    @property
    def taught(self) -> bool:
        return self.row.split == Split.TRAIN


@dataclass(frozen=True, slots=True)
class Settled:
    gold: GoldLabel
    places: Sequence[Place]


@dataclass(frozen=True, slots=True)
class ItemLineage:
    """All lists are oldest first; evaluation rows and promotions are limited to the newest NEWEST."""

    item: Item
    predictions: Sequence[Prediction]
    reviews: Sequence[Review]
    settled: Sequence[Settled]
    answers: Sequence[EvaluationRow]
    promotions: Sequence[Promotion]


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A version and the run that made it; `run` is None for an installation's first version."""

    version: ModelVersion
    run: TrainingRun | None


@dataclass(frozen=True, slots=True)
class RowsPage:
    """A page of a snapshot's rows. Pass `next_after` as `after` to get the next page."""

    rows: Sequence[SnapshotRow]
    next_after: int | None


def lineage_of_item(item: Item) -> ItemLineage:
    gold = list(GoldLabel.objects.filter(item=item).select_related("hard_sample", "review__reviewer").order_by("id"))
    placed = SnapshotRow.objects.filter(gold__in=gold).select_related("snapshot").order_by("-id")[:NEWEST]
    places = [_place(row) for row in reversed(placed)]
    versions = {run.version_id for place in places for run in place.runs if run.version_id}
    answers = EvaluationRow.objects.filter(row_id=str(item.pk), evaluation__snapshot__rows__gold__in=gold).distinct()
    promoted = Promotion.objects.filter(version__in=versions).select_related("version", "previous", "approver")
    return ItemLineage(
        item=item,
        predictions=list(item.predictions.select_related("version").order_by("id")),
        reviews=list(item.reviews.select_related("reviewer", "retraction", "prediction__version").order_by("id")),
        settled=[Settled(label, [place for place in places if place.row.gold_id == label.pk]) for label in gold],
        answers=list(
            reversed(answers.select_related("evaluation__version", "evaluation__snapshot").order_by("-id")[:NEWEST])
        ),
        promotions=list(reversed(promoted.order_by("-id")[:NEWEST])),
    )


def ancestry(version: ModelVersion) -> list[Ancestor]:
    """The version, its parent, and so on, at most ANCESTORS."""
    line: list[Ancestor] = []
    current: ModelVersion | None = version
    while current is not None and len(line) < ANCESTORS:
        run = TrainingRun.objects.filter(version=current).select_related("snapshot").first()
        line.append(Ancestor(current, run))
        current = current.parent
    return line


def rows_of(snapshot: DatasetSnapshot, *, split: str = "", after: int = 0) -> RowsPage:
    """A page of the snapshot's rows with their items, by keyset."""
    found = (
        snapshot.rows.filter(pk__gt=after)
        .select_related("gold__item", "gold__hard_sample", "gold__review__reviewer")
        .defer(*long_texts(gold="gold", item="gold__item", review="gold__review"))
    )
    if split:
        found = found.filter(split=split)
    rows = list(found.order_by("pk")[: ROWS_PAGE + 1])
    return RowsPage(rows[:ROWS_PAGE], rows[ROWS_PAGE - 1].pk if len(rows) > ROWS_PAGE else None)


def _place(row: SnapshotRow) -> Place:
    """The row with the runs that trained on it. A mining trains nothing; the run on its rows has the same snapshot."""
    if row.split != Split.TRAIN:
        return Place(row, ())
    runs = (
        TrainingRun.objects.filter(snapshot=row.snapshot)
        .exclude(kind=RunKind.MINE)
        .select_related("version")
        .order_by("id")
    )
    return Place(row, list(runs))
