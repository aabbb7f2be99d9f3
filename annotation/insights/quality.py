"""Quality: agreement of people with each other, with hidden gold, and with the guard after the reveal."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from datetime import date, datetime

from django.utils.translation import gettext as _

from annotation.insights.agreement import agreement, independent_reviews
from annotation.insights.hidden_gold import HiddenGoldScore, score_of_serving, scores_of_people, scores_of_versions
from annotation.insights.reviewers import moves_after_reveal
from annotation.insights.table import MOST_REVIEWS, Insight, share, week_of
from annotation.models import GoldLabel, Review
from annotation.predictions.active_policy import active_policy_version, known_categories
from guardapp.guard.measures.agreement import krippendorff_alpha


def agreement_by_week(since: datetime) -> Insight:
    rows = independent_reviews(since)
    units: dict[date, dict[Hashable, list[str | None]]] = defaultdict(lambda: defaultdict(list))
    for at, item_id, number, label in rows.values_list("created_at", "item_id", "assignment__round", "prompt_label"):
        units[week_of(at)][item_id, number].append(label)
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


def people_on_hidden_gold(since: datetime) -> Insight:
    """People and the serving guard, measured on the same items."""
    guard = score_of_serving()
    serving = [replace(guard, name=_("%(version)s, the guard that serves") % {"version": guard.name})] if guard else []
    return _on_hidden_gold(
        "people-on-known",
        _("Reviewers and the serving guard on hidden gold"),
        _("who"),
        [*serving, *scores_of_people(since=since)],
    )


def versions_on_hidden_gold(_since: datetime) -> Insight:
    return _on_hidden_gold("versions-on-known", _("Guards on hidden gold"), _("version"), scores_of_versions())


def calibration(since: datetime) -> Insight:
    """How often reviews match the final gold, by stated confidence."""
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
        [(names[level], share(sum(right[level]), len(right[level])), len(right[level])) for level in names],
        "bar",
        (1,),
        (1,),
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
    known = {one.code: one for one in known_categories(active_policy_version())}
    found = agreement(since=since, category_codes=list(known))
    # a retired category is shown while the reviews of the period name it
    by_category = [one for one in found.by_category if one.named or not known[one.name].retired]
    return Insight(
        "agreement-by-category",
        _("Agreement by task and category"),
        _("Krippendorff's alpha and the share of equal pairs."),
        (_("label"), _("alpha"), _("equal"), _("items")),
        [
            *((_(one.name), one.alpha, one.equal, one.items) for one in found.by_task),
            *((str(known[one.name]), one.alpha, one.equal, one.items) for one in by_category),
        ],
        "bar",
        (1,),
        (2,),
    )


def _on_hidden_gold(key: str, title: str, first: str, scores: Sequence[HiddenGoldScore]) -> Insight:
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
