"""The item page: the item's history, and how much of it a person may see."""

from dataclasses import dataclass
from typing import Any

from annotation.models import Event, GoldLabel, Item, Prediction, Review, User
from annotation.review.page_values import Step, reviewed_steps
from annotation.status import EventKind, ItemStatus, ReviewMode

# metadata key under which corpus importers store the gold labels
CORPUS_LABELS = "labels"


def may_see_judgement(user: User, item: Item) -> bool:
    """Whether the item page shows the guard's judgement.

    Leads always see it; reviewers see it once it can no longer influence their verdict.
    """
    if user.is_lead or item.queue.mode == ReviewMode.OPEN:
        return True
    return item.queue.mode != ReviewMode.BLIND and Review.objects.filter(item=item, reviewer=user).exists()


def may_see_reviews(user: User, item: Item) -> bool:
    """Whether the item page shows other people's reviews: not while the person may still have to judge the item."""
    return (
        user.is_lead or item.status == ItemStatus.REVIEWED or Review.objects.filter(item=item, reviewer=user).exists()
    )


def shown_metadata(user: User, item: Item) -> dict[str, Any]:
    """The sender's metadata of the item.

    Labels from a corpus are shown only to leads, and only after people have decided.
    """
    decided = user.is_lead and item.status == ItemStatus.REVIEWED
    return {name: value for name, value in item.metadata.items() if decided or name != CORPUS_LABELS}


@dataclass(frozen=True, slots=True)
class Moment:
    """One event in an item's history, with the prediction, review or gold it refers to."""

    event: Event
    words: str
    prediction: Prediction | None = None
    review: Review | None = None
    steps: tuple[Step, ...] = ()
    gold: GoldLabel | None = None


def life_of(item: Item) -> list[Moment]:
    """The item's full history, oldest first."""
    predictions = {p.version.name: p for p in item.predictions.select_related("version")}
    reviews = {r.pk: r for r in item.reviews.select_related("reviewer", "prediction", "upholds__reviewer")}
    golds = {g.created_at: g for g in item.gold_labels.select_related("hard_sample")}
    words = dict(EventKind.choices)
    moments = []
    for event in item.events.select_related("actor").order_by("id"):
        review = reviews.get(event.detail.get("review", 0)) if event.kind == EventKind.REVIEWED else None
        moments.append(
            Moment(
                event=event,
                words=str(words.get(event.kind, event.kind)),
                prediction=predictions.get(event.detail.get("version", ""))
                if event.kind == EventKind.PREDICTED
                else None,
                review=review,
                steps=reviewed_steps(review) if review else (),
                gold=golds.get(event.at) if event.kind == EventKind.GOLD_SETTLED else None,
            )
        )
    return moments
