"""The guard compared with people: drift by week and category, and the errors that reviewers marked."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from annotation.insights.table import MOST_REVIEWS, Cell, Insight, share, week_of, weeks_since
from annotation.models import GoldLabel, Review
from annotation.predictions.active_policy import active_policy_version, known_categories
from annotation.status import ErrorKind
from guardapp.guard.measures.calibration import reliability
from guardapp.guard.taxonomy import Harmfulness

MOST_CATEGORIES = 6  # lines in one chart
# gold labels in one chart, spread over its weeks
MOST_GOLD = 20_000


def drift(since: datetime) -> Insight:
    """The guard compared with settled gold, by week."""
    weeks: dict[date, Counter[str]] = defaultdict(Counter)
    for at, gold, label, _categories in _against_gold(since):
        weeks[week_of(at)][f"{gold}/{label if label == gold else 'other'}"] += 1
    rows: list[Sequence[Cell]] = []
    for week, counts in sorted(weeks.items()):
        right, missed = counts["harmful/harmful"], counts["harmful/other"]
        fine, over = counts["unharmful/unharmful"], counts["unharmful/other"]
        rows.append((str(week), share(missed, right + missed), share(over, fine + over), counts.total()))
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
    """The guard's share of errors in the most common gold categories, by week."""
    known = {one.code: one for one in known_categories(active_policy_version())}
    wrong: dict[tuple[date, str], list[bool]] = defaultdict(list)
    totals: Counter[str] = Counter()
    for at, gold, label, categories in _against_gold(since):
        for code in categories:
            wrong[week_of(at), code].append(label != gold)
            totals[code] += 1
    codes = [code for code, _times in totals.most_common(MOST_CATEGORIES)]
    weeks = sorted({week for week, _code in wrong})
    rows = [(str(week), *(share(sum(wrong[week, code]), len(wrong[week, code])) for code in codes)) for week in weeks]
    drawn = tuple(range(1, len(codes) + 1))
    return Insight(
        "drift-by-category",
        _("The guard's errors by category"),
        _("Share of gold labels of a category whose prompt label the guard got wrong, by week."),
        (_("week"), *(str(known.get(code, code)) for code in codes)),
        rows,
        "line",
        drawn,
        drawn,
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


def how_sure(since: datetime) -> Insight:
    """The share of harmful gold of prompts by the guard's probability of harm. Equal shares are perfect calibration."""
    harm = Coalesce("prediction__prompt_harm", "prediction__prompt_score")
    known = [(score, label) for label, score in _newest_gold(since, "prompt_label", harm) if score is not None]
    bins = reliability([score for score, _ in known], [label == Harmfulness.HARMFUL for _, label in known])
    return Insight(
        "how-sure",
        _("How sure, and how right"),
        _("Share of harmful gold labels of prompts, by the probability of harm that the guard gave them."),
        (_("probability of harm"), _("mean"), _("harmful"), _("items")),
        [(f"{one.low:.1f}–{one.high:.1f}", one.mean_score, one.positives, one.n) for one in bins],
        "bar",
        (1, 2),
        (1, 2),
    )


def _against_gold(since: datetime) -> Iterable[tuple[datetime, str | None, str | None, list[str]]]:
    """When each of the newest gold labels settled, its prompt label, the guard's, and its categories."""
    return _newest_gold(since, "settled_at", "prompt_label", "prediction__prompt_label", "categories")


def _newest_gold(since: datetime, *columns: Any) -> Iterable[tuple[Any, ...]]:
    """The newest gold of each week. A sample of a few thousand is enough to estimate the share."""
    gold = (
        GoldLabel.objects.standing()
        .filter(prediction__isnull=False, prompt_label__isnull=False)
        .order_by("-settled_at")
    )
    values = gold.values_list(*columns)
    weeks = weeks_since(since)
    for begin, end in weeks:
        yield from values.filter(settled_at__gte=begin, settled_at__lt=end)[: MOST_GOLD // len(weeks)]


def error_kinds(*, since: datetime) -> dict[str, Counter[str]]:
    """The guard's errors as marked by reviewers: {version: {kind: reviews}}."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    rows = Review.objects.filter(created_at__gte=since, retraction__isnull=True, prediction__isnull=False).exclude(
        error_kinds=[]
    )
    for kinds, version in rows.order_by("-id").values_list("error_kinds", "prediction__version__name")[:MOST_REVIEWS]:
        found[version or ""].update(kind for kind in kinds if kind in ErrorKind.values)
    return dict(found)
