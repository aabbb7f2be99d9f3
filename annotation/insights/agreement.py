"""How well people agree, with each other, with verdicts that are known, and with the guard."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from django.db.models import Count, QuerySet

from annotation.database.lists import LONG
from annotation.models import Assignment, KnownItem, Prediction, Review
from annotation.predictions.selectors import production_or_none
from annotation.review.hidden_gold import is_right
from annotation.status import AssignmentState, ErrorKind, GoldSource, ReviewKind
from guardapp.guard.measures.agreement import cohen_kappa, krippendorff_alpha

# newest reviews that a report looks at: a share of so many is right to a hundredth
MOST_REVIEWS = 20_000
TASKS = ("prompt", "response")


@dataclass(frozen=True, slots=True)
class TaskAgreement:
    """Of one task or one category: items that two or more people reviewed, the share of equal pairs, and alpha."""

    name: str
    items: int
    pairs: int
    equal: float | None
    alpha: float | None


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


@dataclass(frozen=True, slots=True)
class KnownScore:
    """Of one person or one version on hidden gold. The rates are 0 to 1; None where there was nothing to get wrong."""

    name: str
    n: int
    right: int
    missed: float | None  # share of the harmful called unharmful
    over_refused: float | None  # share of the unharmful called harmful

    @property
    def accuracy(self) -> float:
        return self.right / self.n


@dataclass(frozen=True, slots=True)
class Moves:
    """What people did after they had decided first and then saw the guard's judgement."""

    name: str
    revealed: int
    agreed: int  # before the reveal
    to_guard: int  # gave up their own verdict for the guard's
    stayed: int  # kept a verdict that the guard contradicts
    elsewhere: int  # changed it, but not to the guard's

    @property
    def share_to_guard(self) -> float | None:
        """Of those that the guard contradicted, 0 to 1."""
        contradicted = self.revealed - self.agreed
        return self.to_guard / contradicted if contradicted else None


@dataclass(frozen=True, slots=True)
class Pace:
    """How a person works. Seconds are medians; rates are shares of what they were given, 0 to 1."""

    name: str
    reviews: int
    seconds: float | None
    too_fast: int
    skipped: float
    escalated: float
    corrected: float


def agreement(*, since: datetime, category_codes: Sequence[str] = ()) -> Agreement:
    """Of items that two or more people reviewed in the same round, as `independent_reviews` has them."""
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
    """What people judged on their own, of the newest reviews: no hidden gold, no bulk decisions, no adjudications,
    which see the others.
    """
    newest = Review.objects.order_by("-id").values("pk")[:MOST_REVIEWS]
    rows = Review.objects.filter(created_at__gte=since, retraction__isnull=True, known__isnull=True, bulk__isnull=True)
    return rows.filter(pk__in=newest).exclude(gold_labels__source=GoldSource.ADJUDICATED)


def scores_of_people(*, since: datetime) -> list[KnownScore]:
    """Reviewers on hidden gold, the most reviewed first."""
    reviews = Review.objects.filter(known__isnull=False, retraction__isnull=True, created_at__gte=since)
    answers: dict[str, list[tuple[KnownItem, str | None, str | None]]] = defaultdict(list)
    columns = ("prompt_label", "response_label", "known__prompt_label", "known__response_label", "reviewer__username")
    for review in reviews.select_related("known", "reviewer").only(*columns).order_by("-id")[:MOST_REVIEWS]:
        if review.known is not None:
            answers[review.reviewer.username].append((review.known, review.prompt_label, review.response_label))
    return sorted((_known_score(name, given) for name, given in answers.items()), key=lambda score: -score.n)


def scores_of_versions() -> list[KnownScore]:
    """Guard versions on the hidden gold that they have predicted; a completion that did not parse is wrong."""
    known = {row.item_id: row for row in KnownItem.objects.filter(active=True)}
    answers: dict[str, list[tuple[KnownItem, str | None, str | None]]] = defaultdict(list)
    for prediction in (
        Prediction.objects.filter(item__in=known)
        .select_related("version")
        .defer(*LONG["prediction"])
        .order_by("version_id")
    ):
        answers[prediction.version.name].append(
            (known[prediction.item_id], prediction.prompt_label, prediction.response_label)
        )
    return [_known_score(name, given) for name, given in answers.items()]


def score_of_serving() -> KnownScore | None:
    """The version that serves, on the hidden gold that it has judged so far; None before the first."""
    serving = production_or_none()
    return (
        None if serving is None else next((score for score in scores_of_versions() if score.name == serving.name), None)
    )


def moves_after_reveal(*, since: datetime) -> list[Moves]:
    """Everybody together first ("all"), then each person."""
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


def error_kinds(*, since: datetime) -> dict[str, Counter[str]]:
    """What was wrong with the guard, as reviewers marked it: {version: {kind: reviews}}."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    rows = Review.objects.filter(created_at__gte=since, retraction__isnull=True, prediction__isnull=False).exclude(
        error_kinds=[]
    )
    for kinds, version in rows.order_by("-id").values_list("error_kinds", "prediction__version__name")[:MOST_REVIEWS]:
        found[version or ""].update(kind for kind in kinds if kind in ErrorKind.values)
    return dict(found)


def paces(*, since: datetime) -> list[Pace]:
    """Everybody who held an item since then, of the newest leases, by name."""
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


def _agree(name: str, units: Iterable[Sequence[Hashable]]) -> TaskAgreement:
    rated = [unit for unit in units if all(label is not None for label in unit)]
    pairs = [one == two for unit in rated for one, two in combinations(unit, 2)]
    return TaskAgreement(
        name, len(rated), len(pairs), sum(pairs) / len(pairs) if pairs else None, krippendorff_alpha(rated)
    )


def _pairs(groups: Sequence[Sequence[Review]]) -> tuple[PairAgreement, ...]:
    """Kappa on the prompt label of every two people with items in common, most items first."""
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


def _known_score(name: str, given: Sequence[tuple[KnownItem, str | None, str | None]]) -> KnownScore:
    labels = [
        (gold, said)
        for known, prompt, response in given
        for gold, said in ((known.prompt_label, prompt), (known.response_label, response))
        if gold is not None
    ]
    harmful = [said for gold, said in labels if gold == "harmful"]
    unharmful = [said for gold, said in labels if gold == "unharmful"]
    return KnownScore(
        name,
        len(given),
        sum(is_right(*answer) for answer in given),
        missed=sum(said != "harmful" for said in harmful) / len(harmful) if harmful else None,
        over_refused=sum(said != "unharmful" for said in unharmful) / len(unharmful) if unharmful else None,
    )


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
    ranked = sorted(seconds)
    return Pace(
        name,
        len(ranked),
        ranked[len(ranked) // 2] if ranked else None,
        fast,
        skipped=states.get(AssignmentState.SKIPPED, 0) / total,
        escalated=states.get(AssignmentState.ESCALATED, 0) / total,
        corrected=corrected / len(ranked) if ranked else 0.0,
    )
