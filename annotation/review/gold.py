"""Gold labels and hard samples, which result from reviews."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings

from annotation.database import clock
from annotation.database.kept_statements import Update, insert
from annotation.errors import SnapshotUsedIt
from annotation.models import Event, GoldLabel, HardSample, Item, Prediction, Review, User
from annotation.outbound.item_messages import announce_changed, announce_settled
from annotation.predictions.active_policy import known_categories
from annotation.predictions.target_reasoning import reasoning_from_rollouts
from annotation.review.appeals import close_appeal, reopen_appeal
from annotation.review.decision import Decision, corrected_steps, same_labels, wrote
from annotation.status import (
    AssignmentState,
    EventKind,
    GoldSource,
    ItemStatus,
    Lane,
    ReviewMode,
    StepMark,
    TargetSource,
)
from guardapp.guard.steps import categories_named

_SUPERSEDE = Update(lambda item, now: (GoldLabel.objects.standing().filter(item=item), {"superseded_at": now}))
_SETTLED = Update(lambda item: (Item.objects.filter(pk=item), {"status": ItemStatus.REVIEWED}))


def settle(
    *,
    item: Item,
    review: Review,
    decision: Decision,
    adjudicates: bool,
    now: datetime,
    source: GoldSource | None = None,
) -> GoldLabel | None:
    """Create gold once the item has all its reviews and they agree; escalate the item if they disagree.

    A lead's review settles an escalated item alone; reviews by others that were in progress then settle nothing. Runs
    in the review's transaction. The caller must hold the lock on the item's row, so that of two simultaneous last
    reviews the second sees the first.
    """
    if not adjudicates and item.status != ItemStatus.READY:
        return None
    wanted = reviews_wanted(item)
    if not adjudicates and wanted > 1:
        standing = standing_reviews(item)
        if len(standing) < wanted:
            return None
        if len({(row.prompt_label, row.response_label) for row in standing}) > 1:
            Item.objects.filter(pk=item.pk).update(status=ItemStatus.ESCALATED, free_slots=1)
            Event.objects.create(
                kind=EventKind.ESCALATED, item=item, at=now, detail={"reason": "the reviewers disagree"}
            )
            return None
    steps, target_source = target_reasoning(decision, review.prediction, ReviewMode(review.mode))
    known = {one.code: one for one in known_categories(review.policy_version)}
    steps = naming_categories(steps, decision.categories, {code: one.name for code, one in known.items()})
    earlier: GoldLabel | None = None
    if _SUPERSEDE.run(item=item.pk, now=now):
        earlier = GoldLabel.objects.filter(item=item, superseded_at=now).order_by("-id").first()
        Event.objects.create(kind=EventKind.GOLD_SUPERSEDED, item=item, at=now, detail={"review": review.pk})
    gold = insert(
        GoldLabel(
            item=item,
            review=review,
            prediction=review.prediction,
            prompt_label=review.prompt_label,
            response_label=review.response_label,
            categories=review.categories,
            source=source or _source(item, adjudicates),
            policy_version=review.policy_version,
            target_steps=list(steps),
            target_source=target_source,
            created_at=now,
            settled_at=now + timedelta(seconds=settings.SETTLE_SECONDS),
            # as gold of a category is that was settled before the category was retired
            stale_at=now if any(known[code].retired for code in decision.categories if code in known) else None,
        )
    )
    errors = contradictions(decision, review.prediction)
    if errors and review.prediction is not None:
        HardSample.objects.create(gold=gold, prediction=review.prediction, errors=errors, created_at=now)
    _SETTLED.run(item=item.pk)
    close_appeal(item=item, gold=gold, now=now)
    settled = insert(
        Event(kind=EventKind.GOLD_SETTLED, item=item, at=now, detail={"errors": errors, "target_source": target_source})
    )
    announce_settled(item=item, gold=gold, earlier=earlier, event=settled)
    return gold


def reviews_wanted(item: Item) -> int:
    """How many reviews the item needs. One person who is new to the item decides an appeal."""
    return 1 if item.lane == Lane.APPEAL else item.queue.reviews_per_item


def _source(item: Item, adjudicates: bool) -> GoldSource:
    if item.lane == Lane.APPEAL:
        return GoldSource.APPEAL
    return GoldSource.ADJUDICATED if adjudicates else GoldSource.CONSENSUS


def target_reasoning(
    decision: Decision, prediction: Prediction | None, mode: ReviewMode
) -> tuple[tuple[str, ...], TargetSource]:
    """The reasoning to train on, and its source.

    The reviewer's own text takes precedence. If the reviewer agreed with the guard and changed nothing, the guard's
    reasoning is used. Otherwise it comes from one of the guard's rollouts with the right verdict; if there is none, the
    guard generates it later.
    """
    if any(wrote(step) for step in decision.steps):
        steps = corrected_steps(decision.steps)
        if steps:
            return steps, TargetSource.EDITED
    if prediction is None:
        return (), TargetSource.PENDING
    untouched = not any(step.mark == StepMark.WRONG for step in decision.steps)
    if prediction.parsed and prediction.steps and same_labels(decision, prediction) and untouched:
        seen = mode != ReviewMode.BLIND
        return tuple(prediction.steps), TargetSource.ACCEPTED if seen else TargetSource.OWN_ROLLOUT
    own = reasoning_from_rollouts(prediction, (decision.prompt_label, decision.response_label))
    return (own, TargetSource.OWN_ROLLOUT) if own else ((), TargetSource.PENDING)


def naming_categories(steps: tuple[str, ...], codes: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """The target with a final step that names the chosen categories missing from the other steps.

    Guards learn categories from the steps.
    """
    named = categories_named(steps, names.keys())
    unnamed = [f"{names.get(code, code)} ({code})" for code in codes if code not in named]
    return (*steps, f"This falls under {', '.join(unnamed)}.") if steps and unnamed else steps


def contradictions(decision: Decision, prediction: Prediction | None) -> list[str]:
    """Where the decision contradicts the prediction.

    Values: prompt and response (labels), unparsed, reasoning (steps rewritten or marked wrong).
    """
    if prediction is None:
        return []
    if not prediction.parsed:
        return ["unparsed"]
    errors = []
    if decision.prompt_label != prediction.prompt_label:
        errors.append("prompt")
    if decision.response_label != prediction.response_label:
        errors.append("response")
    if any(wrote(step) or step.mark == StepMark.WRONG for step in decision.steps):
        errors.append("reasoning")
    return errors


def withdraw(*, item: Item, actor: User, now: datetime) -> None:
    """Withdraw the standing gold label and restore the one it superseded.

    The caller must hold the lock on the item's row. Raises SnapshotUsedIt if a snapshot contains it.
    """
    standing = GoldLabel.objects.standing().filter(item=item)
    taken_back = list(standing.filter(used_at__isnull=True))
    for gold in taken_back:
        reopen_appeal(gold=gold)
    if standing.filter(used_at__isnull=True).update(withdrawn_at=now):
        event = Event.objects.create(kind=EventKind.GOLD_WITHDRAWN, item=item, actor=actor, at=now)
        replaced = (
            GoldLabel.objects.filter(item=item, superseded_at__isnull=False, withdrawn_at__isnull=True)
            .order_by("-id")
            .first()
        )
        if replaced is not None:
            GoldLabel.objects.filter(pk=replaced.pk).update(superseded_at=None)
        announce_changed(item=item, earlier=taken_back[0], present=replaced, because="undo", event=event)
    elif standing.exists():
        raise SnapshotUsedIt


def mark_used(*, gold_ids: Sequence[int]) -> int:
    """Freeze the gold rows of a snapshot. Returns how many of them are frozen and still stand.

    Runs in the snapshot's transaction.
    """
    now = clock.now()
    frozen = 0
    for start in range(0, len(gold_ids), 500):
        chunk = GoldLabel.objects.standing().filter(pk__in=gold_ids[start : start + 500])
        chunk.filter(used_at__isnull=True).update(used_at=now)
        frozen += chunk.count()
    return frozen


def slots_left(item: Item) -> int:
    """How many reviews the item still needs, minus its active assignments; at least 1."""
    holding = item.assignments.filter(state=AssignmentState.ACTIVE).count()
    return max(reviews_wanted(item) - len(standing_reviews(item)) - holding, 1)


def standing_reviews(item: Item) -> list[Review]:
    """The reviews of the item's current round that were not retracted, except reviews of hidden gold.

    An appeal or a new policy starts another round.
    """
    reviews = Review.objects.filter(
        item=item, assignment__round=item.round, hidden_gold__isnull=True, retraction__isnull=True
    )
    return list(reviews.select_related("reviewer").order_by("id"))
