"""The work of each reviewer: pace, skips, and changes of verdict after the reveal."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from django.db.models import Count

from annotation.insights.table import MOST_REVIEWS
from annotation.models import Assignment, Review
from annotation.status import AssignmentState, ReviewKind


@dataclass(frozen=True, slots=True)
class Moves:
    """Changes of verdict after the reveal of the guard's judgement, in decide-first mode."""

    name: str
    revealed: int
    agreed: int  # before the reveal
    to_guard: int  # changed their verdict to the guard's
    stayed: int  # kept a verdict that contradicts the guard's
    elsewhere: int  # changed their verdict, but not to the guard's

    @property
    def share_to_guard(self) -> float | None:
        """The share of contradicted verdicts that changed to the guard's, 0 to 1."""
        contradicted = self.revealed - self.agreed
        return self.to_guard / contradicted if contradicted else None


@dataclass(frozen=True, slots=True)
class Pace:
    """A person's pace. Seconds are medians; rates are shares of the assigned items, 0 to 1."""

    name: str
    reviews: int
    seconds: float | None
    too_fast: int
    skipped: float
    escalated: float
    corrected: float


def moves_after_reveal(*, since: datetime) -> list[Moves]:
    """The totals of all people first ("all"), then each person."""
    rows = Review.objects.filter(
        first_prompt_label__isnull=False, retraction__isnull=True, created_at__gte=since, prediction__isnull=False
    )
    by_person: dict[str, list[Review]] = defaultdict(list)
    columns = (
        "prompt_label",
        "response_label",
        "first_prompt_label",
        "first_response_label",
        "prediction__prompt_label",
        "prediction__response_label",
        "reviewer__username",
    )
    for review in rows.select_related("prediction", "reviewer").only(*columns).order_by("-id")[:MOST_REVIEWS]:
        by_person[review.reviewer.username].append(review)
    everybody = [review for given in by_person.values() for review in given]
    return (
        [_moves("all", everybody), *(_moves(name, given) for name, given in sorted(by_person.items()))]
        if everybody
        else []
    )


def paces(*, since: datetime) -> list[Pace]:
    """The pace of everyone with a recent lease since then, by name."""
    newest = Assignment.objects.order_by("-id").values("pk")[:MOST_REVIEWS]
    ended = Assignment.objects.filter(
        pk__in=newest,
        created_at__gte=since,
        state__in=[AssignmentState.SUBMITTED, AssignmentState.SKIPPED, AssignmentState.ESCALATED],
    )
    given: Mapping[str, dict[str, int]] = defaultdict(dict)
    for row in ended.values("reviewer__username", "state").annotate(n=Count("pk")):
        given[row["reviewer__username"]][row["state"]] = row["n"]
    reviewed = Review.objects.order_by("-id").values("pk")[:MOST_REVIEWS]
    reviews = Review.objects.filter(pk__in=reviewed, created_at__gte=since, retraction__isnull=True, bulk__isnull=True)
    seconds: dict[str, list[float]] = defaultdict(list)
    fast: Counter[str] = Counter()
    corrected: Counter[str] = Counter()
    for name, took, kind, fewest in reviews.values_list(
        "reviewer__username", "seconds", "kind", "assignment__queue__fewest_seconds"
    ):
        seconds[name].append(took)
        fast[name] += took < fewest
        corrected[name] += kind == ReviewKind.CORRECTED
    return [
        _pace(name, states, seconds.get(name, []), fast[name], corrected[name])
        for name, states in sorted(given.items())
    ]


def _moves(name: str, reviews: Sequence[Review]) -> Moves:
    counts: Counter[str] = Counter()
    for review in reviews:
        first = (review.first_prompt_label, review.first_response_label)
        final = (review.prompt_label, review.response_label)
        guard = (
            (review.prediction.prompt_label, review.prediction.response_label) if review.prediction else (None, None)
        )
        counts[
            "agreed"
            if first == guard
            else "to_guard"
            if final == guard
            else "stayed"
            if final == first
            else "elsewhere"
        ] += 1
    return Moves(name, len(reviews), counts["agreed"], counts["to_guard"], counts["stayed"], counts["elsewhere"])


def _pace(name: str, states: Mapping[str, int], seconds: Sequence[float], fast: int, corrected: int) -> Pace:
    total = sum(states.values())
    return Pace(
        name,
        len(seconds),
        median(seconds) if seconds else None,
        fast,
        skipped=states.get(AssignmentState.SKIPPED, 0) / total,
        escalated=states.get(AssignmentState.ESCALATED, 0) / total,
        corrected=corrected / len(seconds) if seconds else 0.0,
    )
