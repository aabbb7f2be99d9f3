"""How people and guard versions do on hidden gold."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from annotation.database.lists import LONG
from annotation.insights.table import MOST_REVIEWS
from annotation.models import KnownItem, Prediction, Review
from annotation.predictions.selectors import production_or_none
from annotation.review.hidden_gold import is_right


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
