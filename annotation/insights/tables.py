"""What leads look at to see how the work goes: each insight is a table, and the page draws a picture of it.

Every insight reads at most MOST_REVIEWS newest rows or what a worker has counted, so that a page stays quick however
long the product has run.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Count, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from annotation.insights.agreement import (
    MOST_REVIEWS,
    KnownScore,
    agreement,
    error_kinds,
    independent_reviews,
    moves_after_reveal,
    paces,
    score_of_serving,
    scores_of_people,
    scores_of_versions,
)
from annotation.insights.days import reviews_by_day
from annotation.models import Exposure, GoldLabel, QueueTally, Review, ReviewDay, ReviewQueue
from annotation.predictions.policy import active_policy_version, policy_categories
from annotation.queues.counts import counted_queues, tally_is_enough
from annotation.queues.overdue import WAITING
from annotation.status import ErrorKind
from guardapp.guard.measures.agreement import krippendorff_alpha

Cell = str | float | int | None
AGE_NAMES = (
    gettext_noop("under 1 hour"),
    gettext_noop("under 4 hours"),
    gettext_noop("under 1 day"),
    gettext_noop("under 3 days"),
    gettext_noop("under 1 week"),
    gettext_noop("older"),
)  # of lateness.AGES
MOST_CATEGORIES = 6  # lines of one picture
MOST_QUEUES = 6  # colours of one
MOST_GOLD = 20_000  # gold labels that one picture is made of, spread over its weeks


@dataclass(frozen=True, slots=True)
class Insight:
    """A table: `columns` name the cells of each row, the first is what the row is about. Shares are 0 to 1.

    `chart` is line, bar or stacked; `drawn` are the positions of the columns that it draws, () for a table without a
    picture.
    """

    key: str
    title: str
    about: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    chart: str = "bar"
    drawn: tuple[int, ...] = ()
    shares: tuple[int, ...] = ()  # columns that are shares

    @property
    def series(self) -> tuple[str, ...]:
        return tuple(self.columns[at] for at in self.drawn)


def throughput(since: datetime) -> Insight:
    """Days that are over are counted already; what is left is read from the reviews."""
    found = {
        row.day: (row.accepted, row.corrected)
        for row in ReviewDay.objects.filter(day__gte=since.date()).order_by("day")
    }
    days = _days(since)
    found |= reviews_by_day(max(found) + timedelta(days=1) if found else days[0])
    return Insight(
        "throughput",
        _("Reviews a day"),
        _("Accepted and corrected judgements of the guard, by day (UTC)."),
        (_("day"), _("accepted"), _("corrected")),
        [(str(day), *found.get(day, (0, 0))) for day in days],
        "stacked",
        (1, 2),
    )


def backlog(_since: datetime) -> Insight:
    """Of the items that wait for people now."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for queue, by_age in _waiting_by_age():
        for name, number in zip(AGE_NAMES, by_age, strict=True):
            counts[name][queue] += number
    drawn, rest = _fullest(list(counts.values()))
    columns = (_("age"), *drawn, *([_("Other")] if rest else []), *rest)
    rows: list[tuple[str | int, ...]] = [
        (
            _(name),
            *(counts[name][queue] for queue in drawn),
            *([sum(counts[name][queue] for queue in rest)] if rest else []),
            *(counts[name][queue] for queue in rest),
        )
        for name in AGE_NAMES
    ]
    return Insight(
        "backlog",
        _("Waiting items by age"),
        _("How long items have waited since they came in, by queue."),
        columns,
        rows,
        "stacked",
        tuple(range(1, len(drawn) + bool(rest) + 1)),
    )


def _waiting_by_age() -> Iterable[tuple[str, list[int]]]:
    """Queue and items by age; many are not counted here but read from the tally that a worker renews."""
    tallies = QueueTally.objects.all() if tally_is_enough() else counted_queues(timezone.now())
    names = dict(ReviewQueue.objects.values_list("pk", "name"))
    return [(names[row.queue_id], row.by_age) for row in tallies if row.status in WAITING and row.by_age]


def _fullest(counts: Sequence[Counter[str]]) -> tuple[list[str], list[str]]:
    """The queues that a picture tells apart by colour, the fullest first, and those that it shows as one."""
    queues = [queue for queue, _number in sum(counts, Counter[str]()).most_common()]
    most = MOST_QUEUES if len(queues) <= MOST_QUEUES else MOST_QUEUES - 1
    return queues[:most], queues[most:]


def agreement_by_week(since: datetime) -> Insight:
    rows = independent_reviews(since)
    units: dict[date, dict[Hashable, list[str | None]]] = defaultdict(lambda: defaultdict(list))
    for at, item_id, number, label in rows.values_list("created_at", "item_id", "assignment__round", "prompt_label"):
        units[_week(at)][item_id, number].append(label)
    weeks = {week: [unit for unit in units[week].values() if len(unit) > 1] for week in sorted(units)}
    return Insight(
        "agreement-by-week",
        _("Agreement by week"),
        _("Krippendorff's alpha of the prompt label, where two or more people reviewed an item."),
        (_("week"), _("alpha"), _("items")),
        [(str(week), krippendorff_alpha(items), len(items)) for week, items in weeks.items() if items],
        "line",
        (1,),
    )


def drift(since: datetime) -> Insight:
    """The guard against settled gold, week by week."""
    weeks: dict[date, Counter[str]] = defaultdict(Counter)
    for at, gold, said, _categories in _against_gold(since):
        weeks[_week(at)][f"{gold}/{said if said == gold else 'other'}"] += 1
    rows: list[Sequence[Cell]] = []
    for week, counts in sorted(weeks.items()):
        right, missed = counts["harmful/harmful"], counts["harmful/other"]
        fine, over = counts["unharmful/unharmful"], counts["unharmful/other"]
        rows.append((str(week), _share(missed, right + missed), _share(over, fine + over), counts.total()))
    return Insight(
        "drift",
        _("The guard against people"),
        _(
            "By week of the gold label: the share of harmful items that the guard missed, "
            "and of unharmful ones that it called harmful or could not parse."
        ),
        (_("week"), _("missed"), _("over-refused"), _("items")),
        rows,
        "line",
        (1, 2),
        (1, 2),
    )


def drift_by_category(since: datetime) -> Insight:
    """The commonest categories of gold: the share that the guard got wrong, by week."""
    wrong: dict[tuple[date, str], list[bool]] = defaultdict(list)
    totals: Counter[str] = Counter()
    for at, gold, said, categories in _against_gold(since):
        for code in categories:
            wrong[_week(at), code].append(said != gold)
            totals[code] += 1
    codes = [code for code, _times in totals.most_common(MOST_CATEGORIES)]
    weeks = sorted({week for week, _code in wrong})
    rows = [(str(week), *(_share(sum(wrong[week, code]), len(wrong[week, code])) for code in codes)) for week in weeks]
    drawn = tuple(range(1, len(codes) + 1))
    return Insight(
        "drift-by-category",
        _("The guard's errors by category"),
        _("Share of gold labels of a category whose prompt label the guard got wrong, by week."),
        (_("week"), *codes),
        rows,
        "line",
        drawn,
        drawn,
    )


def people_on_known(since: datetime) -> Insight:
    """The guard that serves stands beside the people, who are measured by the same items."""
    guard = score_of_serving()
    serving = [replace(guard, name=_("%(version)s, the guard that serves") % {"version": guard.name})] if guard else []
    return _known(
        "people-on-known",
        _("Reviewers and the serving guard on hidden gold"),
        _("who"),
        [*serving, *scores_of_people(since=since)],
    )


def versions_on_known(_since: datetime) -> Insight:
    return _known("versions-on-known", _("Guards on hidden gold"), _("version"), scores_of_versions())


def calibration(since: datetime) -> Insight:
    """How often a review of each stated confidence is what gold says in the end."""
    right: dict[int, list[bool]] = defaultdict(list)
    settled = GoldLabel.objects.standing().filter(created_at__gte=since).order_by("-id")
    gold = dict(settled.values_list("item_id", "prompt_label")[:MOST_REVIEWS])
    rows = Review.objects.filter(created_at__gte=since, retraction__isnull=True, confidence__isnull=False).order_by(
        "-id"
    )
    for item_id, confidence, label in rows.values_list("item_id", "confidence", "prompt_label")[:MOST_REVIEWS]:
        if item_id in gold and confidence is not None:
            right[confidence].append(label == gold[item_id])
    names = {1: _("1 low"), 2: _("2 middle"), 3: _("3 high")}
    return Insight(
        "calibration",
        _("Confidence and being right"),
        _("Share of reviews that say what the settled verdict says, by the confidence that the reviewer gave."),
        (_("confidence"), _("right"), _("reviews")),
        [(names[level], _share(sum(right[level]), len(right[level])), len(right[level])) for level in names],
        "bar",
        (1,),
        (1,),
    )


def pace(since: datetime) -> Insight:
    return Insight(
        "pace",
        _("Pace, skips and escalations"),
        _("By reviewer. Seconds are the median from sight to submit."),
        (_("reviewer"), _("skipped"), _("escalated"), _("corrected"), _("reviews"), _("seconds"), _("too fast")),
        [
            (one.name, one.skipped, one.escalated, one.corrected, one.reviews, one.seconds, one.too_fast)
            for one in paces(since=since)
        ],
        "bar",
        (1, 2, 3),
        (1, 2, 3),
    )


def moves(since: datetime) -> Insight:
    return Insight(
        "moves",
        _("After the reveal"),
        _("Decide-first queues: what people did when the guard contradicted the verdict that they had given."),
        (_("reviewer"), _("moved to the guard"), _("stayed"), _("elsewhere"), _("agreed before"), _("share moved")),
        [
            (one.name, one.to_guard, one.stayed, one.elsewhere, one.agreed, one.share_to_guard)
            for one in moves_after_reveal(since=since)
        ],
        "stacked",
        (1, 2, 3),
        (5,),
    )


def errors(since: datetime) -> Insight:
    found = error_kinds(since=since)
    versions = sorted(found)
    return Insight(
        "errors",
        _("What was wrong with the guard"),
        _("Reviews that named an error, by kind and version."),
        (_("error"), *versions),
        [(str(kind.label), *(found[version][kind] for version in versions)) for kind in ErrorKind],
        "bar",
        tuple(range(1, len(versions) + 1)),
    )


def pairs(since: datetime) -> Insight:
    return Insight(
        "pairs",
        _("Pairs of reviewers"),
        _("Items that both reviewed, the share of equal prompt labels, and Cohen's kappa."),
        (_("pair"), _("equal"), _("kappa"), _("items")),
        [
            (
                _("%(first)s and %(second)s") % {"first": one.first, "second": one.second},
                one.equal,
                one.kappa,
                one.items,
            )
            for one in agreement(since=since).by_pair
        ],
        "bar",
        (1, 2),
        (1,),
    )


def agreement_by_category(since: datetime) -> Insight:
    codes = [row.code for row in policy_categories(active_policy_version())]
    found = agreement(since=since, category_codes=codes)
    return Insight(
        "agreement-by-category",
        _("Agreement by task and category"),
        _("Krippendorff's alpha and the share of equal pairs."),
        (_("label"), _("alpha"), _("equal"), _("items")),
        [(_(one.name), one.alpha, one.equal, one.items) for one in (*found.by_task, *found.by_category)],
        "bar",
        (1,),
        (2,),
    )


def exposure(since: datetime) -> Insight:
    """All people together: who saw what is for the person themselves."""
    rows = Exposure.objects.filter(day__gte=since.date()).order_by("day").values("day")
    counted = rows.annotate(
        seconds=Sum("seconds"), severe=Count("pk", filter=Q(severity=3)), people=Count("reviewer", distinct=True)
    )
    return Insight(
        "exposure",
        _("Exposure"),
        _("Unblurred minutes and severe items seen, all reviewers together, by day (UTC)."),
        (_("day"), _("minutes"), _("severe items"), _("people")),
        [(str(row["day"]), round(row["seconds"] / 60, 1), row["severe"], row["people"]) for row in counted],
        "bar",
        (1, 2),
    )


SECTIONS: Mapping[str, tuple[Callable[[datetime], Insight], ...]] = {
    gettext_noop("Flow"): (throughput, backlog, pace),
    gettext_noop("Quality"): (agreement_by_week, agreement_by_category, pairs, people_on_known, calibration, moves),
    gettext_noop("Guard"): (drift, drift_by_category, versions_on_known, errors),
    gettext_noop("Care"): (exposure,),
}


def _known(key: str, title: str, first: str, scores: Sequence[KnownScore]) -> Insight:
    return Insight(
        key,
        title,
        _(
            "On items whose verdict is known: the share that is right, of harmful ones missed, "
            "of unharmful ones called harmful."
        ),
        (first, _("right"), _("missed"), _("over-refused"), _("items")),
        [(one.name, one.accuracy, one.missed, one.over_refused, one.n) for one in scores],
        "bar",
        (1, 2, 3),
        (1, 2, 3),
    )


def _against_gold(since: datetime) -> Iterable[tuple[datetime, str | None, str | None, list[str]]]:
    """Of each week the newest: a share of some thousands says what that of all would."""
    gold = (
        GoldLabel.objects.standing()
        .filter(prediction__isnull=False, prompt_label__isnull=False)
        .order_by("-settled_at")
    )
    columns = gold.values_list("settled_at", "prompt_label", "prediction__prompt_label", "categories")
    weeks = _weeks(since)
    for begin, end in weeks:
        yield from columns.filter(settled_at__gte=begin, settled_at__lt=end)[: MOST_GOLD // len(weeks)]


def _days(since: datetime) -> list[date]:
    today = timezone.now().date()
    return [since.date() + timedelta(days=number) for number in range((today - since.date()).days + 1)]


def _weeks(since: datetime) -> list[tuple[datetime, datetime]]:
    """Begin and end of each from Monday on, the first and the last one cut; the last takes in what has still to
    settle.
    """
    monday = datetime.combine(_week(since), time(), UTC)
    number = (timezone.now() - monday).days // 7 + 1
    begins = [since, *(monday + timedelta(weeks=one) for one in range(1, number))]
    return list(zip(begins, [*begins[1:], timezone.now() + timedelta(weeks=1)], strict=True))


def _week(at: datetime) -> date:
    """The Monday of it."""
    return at.date() - timedelta(days=at.weekday())


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
