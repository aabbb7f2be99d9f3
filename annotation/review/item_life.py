"""The item page: the item's history, and how much of it a person may see.

Somebody who may still be given an item, or holds it, is shown no verdict of it. Hidden gold that they have not judged
looks like any waiting item, on every page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from annotation.context.item_context import DONE
from annotation.models import Assignment, Event, GoldLabel, HiddenGold, Item, Prediction, Review, User
from annotation.review.page_values import Step, reviewed_steps
from annotation.status import REOPENABLE, AssignmentState, EventKind, ItemStatus, Lane, ReviewMode

KINDS_OF_A_NEW_ITEM = (EventKind.INGESTED, EventKind.PREDICTED, EventKind.REPORTED)


@dataclass(frozen=True, slots=True)
class Sight:
    """What of some items a person may see: sets of item ids, all empty for leads."""

    undecided: frozenset[int] = frozenset()  # they may still be given these, or hold them
    disguised: frozenset[int] = frozenset()  # of these, hidden gold: shown as ready for review
    judgement_hidden: frozenset[int] = frozenset()
    reviews_hidden: frozenset[int] = frozenset()

    def disguise(self, items: Sequence[Item]) -> None:
        """Give hidden gold the status, round and lane of a waiting item. The items must not be saved afterwards."""
        for item in items:
            if item.pk in self.disguised:
                item.status, item.round = ItemStatus.READY, 1
                item.lane = Lane.UNCERTAIN if item.lane in (Lane.APPEAL, Lane.GOLD) else item.lane


def sight_of(user: User, items: Sequence[Item]) -> Sight:
    """What of these items the person may see. `queue` must be loaded. Two queries, none for leads."""
    if user.is_lead or not items:
        return Sight()
    ids = [item.pk for item in items]
    ended: dict[int, set[int]] = {}
    held: dict[int, str] = {}
    decided = set()
    for item_id, state, in_round, mode in (
        Assignment.objects.filter(reviewer=user, item__in=ids)
        .exclude(state__in=REOPENABLE)
        .values_list("item_id", "state", "round", "mode")
    ):
        if state == AssignmentState.ACTIVE:
            held[item_id] = mode
        else:
            ended.setdefault(item_id, set()).add(in_round)
        if state == AssignmentState.SUBMITTED:
            decided.add(item_id)
    gold = set(HiddenGold.objects.filter(item__in=ids, active=True).values_list("item_id", flat=True))

    def may_come(item: Item) -> bool:
        rounds = ended.get(item.pk, set())
        if item.pk in held:
            return True
        if item.status == ItemStatus.WITHDRAWN:
            return False
        if item.status == ItemStatus.REVIEWED:
            return item.pk in gold and not rounds
        return item.round not in rounds and not (rounds and item.lane == Lane.APPEAL)

    undecided = frozenset(item.pk for item in items if may_come(item))
    return Sight(
        undecided=undecided,
        disguised=frozenset(item.pk for item in items if item.pk in undecided and item.status == ItemStatus.REVIEWED),
        judgement_hidden=frozenset(
            item.pk
            for item in items
            if item.queue.mode == ReviewMode.BLIND
            or (item.queue.mode == ReviewMode.DECIDE_FIRST and (item.pk in undecided or item.pk not in decided))
            or (item.pk in undecided and (_may_be_blind(item) or held.get(item.pk, "open") != ReviewMode.OPEN))
        ),
        reviews_hidden=frozenset(
            item.pk for item in items if item.pk in undecided or (item.status not in DONE and item.pk not in decided)
        ),
    )


def disguised_for(user: User) -> QuerySet[HiddenGold, int]:
    """Ids of all hidden gold that the person may still be given, for filters by status."""
    judged = Assignment.objects.filter(item=OuterRef("item"), reviewer=user).exclude(
        Q(state__in=REOPENABLE) | Q(state=AssignmentState.ACTIVE)
    )
    shown = HiddenGold.objects.filter(~Exists(judged), active=True).exclude(item__status=ItemStatus.WITHDRAWN)
    return shown.values_list("item", flat=True)


def _may_be_blind(item: Item) -> bool:
    return item.queue.blind_share > 0 or item.queue.second_reviews_blind


@dataclass(frozen=True, slots=True)
class Moment:
    """One event in an item's history, with the prediction, review or gold it refers to."""

    event: Event
    words: str
    prediction: Prediction | None = None
    review: Review | None = None
    steps: tuple[Step, ...] = ()
    gold: GoldLabel | None = None


def life_of(item: Item, *, of_a_new_item: bool = False) -> list[Moment]:
    """The item's full history, oldest first; or only what happens to every new item."""
    predictions = {p.version.name: p for p in item.predictions.select_related("version")}
    reviews = {r.pk: r for r in item.reviews.select_related("reviewer", "prediction", "upholds__reviewer")}
    golds = {g.created_at: g for g in item.gold_labels.select_related("hard_sample")}
    words = dict(EventKind.choices)
    moments = []
    events = item.events.select_related("actor").order_by("id")
    if of_a_new_item:
        events = events.filter(kind__in=KINDS_OF_A_NEW_ITEM)
    for event in events:
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
