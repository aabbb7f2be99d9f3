"""Agreement between reviewers."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from django.db.models import Count, QuerySet

from annotation.insights.table import MOST_REVIEWS
from annotation.models import Review
from annotation.status import GoldSource
from guardapp.guard.measures.agreement import cohen_kappa, krippendorff_alpha

TASKS = ("prompt", "response")


@dataclass(frozen=True, slots=True)
class TaskAgreement:
    """Agreement on one task or category: items with two or more reviews, the share of equal pairs, and alpha.

    `named` tells whether any review names the category.
    """

    name: str
    items: int
    pairs: int
    equal: float | None
    alpha: float | None
    named: bool = True


@dataclass(frozen=True, slots=True)
class PairAgreement:
    first: str
    second: str
    items: int
    equal: float
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    by_task: tuple[TaskAgreement, ...]
    by_category: tuple[TaskAgreement, ...]
    by_pair: tuple[PairAgreement, ...]


def agreement(*, since: datetime, category_codes: Sequence[str] = ()) -> Agreement:
    """Agreement on items with two or more `independent_reviews` in the same round."""
    rows = independent_reviews(since)
    many = (
        rows.order_by().values("item_id", "assignment__round").annotate(n=Count("pk")).filter(n__gt=1).values("item_id")
    )
    units: dict[tuple[int, int], list[Review]] = defaultdict(list)
    columns = ("item_id", "prompt_label", "response_label", "categories", "assignment__round", "reviewer__username")
    for review in rows.filter(item__in=many).select_related("assignment", "reviewer").only(*columns):
        units[review.item_id, review.assignment.round].append(review)
    groups = [unit for unit in units.values() if len(unit) > 1]
    return Agreement(
        by_task=tuple(
            _agree(task, [[getattr(review, f"{task}_label") for review in unit] for unit in groups]) for task in TASKS
        ),
        by_category=tuple(
            _agree(code, [[code in review.categories for review in unit] for unit in groups]) for code in category_codes
        ),
        by_pair=_pairs(groups),
    )


def independent_reviews(since: datetime) -> QuerySet[Review]:
    """The newest reviews that people made independently.

    Excludes hidden gold, bulk decisions, and adjudications, which see the other reviews.
    """
    newest = Review.objects.order_by("-id").values("pk")[:MOST_REVIEWS]
    rows = Review.objects.filter(
        created_at__gte=since, retraction__isnull=True, hidden_gold__isnull=True, bulk__isnull=True
    )
    return rows.filter(pk__in=newest, bulk__isnull=True).exclude(gold_labels__source=GoldSource.ADJUDICATED)


def _agree(name: str, units: Iterable[Sequence[Hashable]]) -> TaskAgreement:
    rated = [unit for unit in units if all(label is not None for label in unit)]
    pairs = [one == two for unit in rated for one, two in combinations(unit, 2)]
    return TaskAgreement(
        name,
        len(rated),
        len(pairs),
        sum(pairs) / len(pairs) if pairs else None,
        krippendorff_alpha(rated),
        any(any(unit) for unit in rated),
    )


def _pairs(groups: Sequence[Sequence[Review]]) -> tuple[PairAgreement, ...]:
    """Kappa on the prompt label for each pair of people with items in common, most items first."""
    shared: dict[tuple[str, str], list[tuple[str | None, str | None]]] = defaultdict(list)
    for unit in groups:
        for one, two in combinations(sorted(unit, key=lambda review: review.reviewer.username), 2):
            shared[one.reviewer.username, two.reviewer.username].append((one.prompt_label, two.prompt_label))
    return tuple(
        sorted(
            (
                PairAgreement(
                    first,
                    second,
                    len(labels),
                    sum(a == b for a, b in labels) / len(labels),
                    cohen_kappa([a for a, _ in labels], [b for _, b in labels]),
                )
                for (first, second), labels in shared.items()
            ),
            key=lambda pair: (-pair.items, pair.first, pair.second),
        )
    )
