"""The values shown on the review page."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from annotation.context.item_context import ItemContext, context_of
from annotation.media.shown import Medium, media_of
from annotation.models import (
    Assignment,
    Event,
    Item,
    PolicyVersion,
    Prediction,
    Review,
    User,
)
from annotation.predictions.active_policy import KnownCategory, active_policy_version, offered_categories
from annotation.queues.overdue import late_by
from annotation.review.drafts import draft_of
from annotation.review.exposure import Shift, shift_of
from annotation.review.flags import is_flagged
from annotation.review.leases import others_at
from annotation.status import ErrorKind, EventKind, ReviewMode
from guardapp.guard.word_diff import Segment, word_diff

NO_LABEL = gettext_noop("none")
# waiting items; above this, the page shows "1,000 or more"
MOST_COUNTED = 1_000
UNPARSED = "unparsed"


@dataclass(frozen=True, slots=True)
class Tally:
    """The distribution of one label over a prediction's sampled rollouts."""

    task: str
    counts: tuple[tuple[str, int], ...]  # most common first
    cells: tuple[str, ...]
    total: int

    @property
    def words(self) -> str:
        label, count = self.counts[0]
        return _("%(label)s %(n)s of %(total)s") % {"label": _(label), "n": count, "total": self.total}


@dataclass(frozen=True, slots=True)
class Step:
    """A step on the page: the guard's text (None if the reviewer added it) and the reviewer's work on it."""

    number: int
    text: str | None
    mark: str | None = None
    edit: str | None = None
    links: tuple[Mapping[str, Any], ...] = ()

    @property
    def links_json(self) -> str:
        return json.dumps(list(self.links))

    @property
    def shown(self) -> str:
        return self.edit if self.edit is not None else (self.text or "")

    @property
    def segments(self) -> list[Segment]:
        return [] if self.edit is None else word_diff(self.text or "", self.edit)


@dataclass(frozen=True, slots=True)
class Work:
    """The reviewer's unfinished decision, from the draft."""

    prompt_label: str = ""
    response_label: str = ""
    categories: frozenset[str] = frozenset()
    severity: str = ""
    confidence: str = ""
    note: str = ""
    reason: str = ""
    error_kinds: frozenset[str] = frozenset()
    added: tuple[str, ...] = ()
    saved: bool = False


@dataclass(frozen=True, slots=True)
class ReviewPage:
    assignment: Assignment
    item: Item
    prediction: Prediction | None  # None if missing or still hidden
    judgement_hidden: bool
    media: tuple[Medium, ...]
    steps: tuple[Step, ...]
    tallies: tuple[Tally, ...]
    work: Work
    first: Mapping[str, Any]
    policy: PolicyVersion
    categories: tuple[KnownCategory, ...]  # the policy's, and retired ones that the judgement or the work names
    around: ItemContext
    history: list[Event]
    waiting: int
    blurred: bool
    grey: bool
    muted: bool
    shift: Shift
    late_by: timedelta | None
    others_here: list[User]
    flagged: bool
    others: list[Review] = field(default_factory=list)
    error_kinds = ErrorKind.choices

    @property
    def mode(self) -> str:
        return self.assignment.review_mode

    @property
    def has_frames(self) -> bool:
        return any(medium.frames for medium in self.media)

    @property
    def asks_to_reveal(self) -> bool:
        return self.judgement_hidden and self.mode == ReviewMode.DECIDE_FIRST

    @property
    def disagreeing(self) -> int:
        """The number of sampled rollouts that disagree with the judgement."""
        return 0 if self.prediction is None else round(self.prediction.disagreement * len(self.prediction.rollouts))


def review_page(assignment: Assignment) -> ReviewPage:
    """The content of the review page, without the judgement while the queue's mode hides it."""
    item, reviewer = assignment.item, assignment.reviewer
    payload = draft_of(item, reviewer)
    shown = judgement_shown(assignment, payload)
    prediction = item.prediction if shown else None
    policy = active_policy_version()
    adjudicates = reviewer.is_lead and item.status == "escalated"
    others = list(item.reviews.filter(retraction__isnull=True).select_related("reviewer")) if adjudicates else []
    work = _work(payload)
    return ReviewPage(
        assignment=assignment,
        item=item,
        prediction=prediction,
        judgement_hidden=not shown and item.prediction is not None,
        media=media_of(item, item.prediction),
        steps=_steps(prediction, payload),
        tallies=tallies(prediction),
        work=work,
        first=payload.get("first") or {},
        policy=policy,
        categories=offered_categories(policy, _named(prediction, work, others)),
        around=context_of(item=item, user=reviewer, deciding=True, judgement_hidden=not shown),
        history=_history(assignment),
        waiting=Item.objects.filter(queue=assignment.queue_id, status="ready", free_slots__gt=0)[:MOST_COUNTED].count(),
        blurred=_blurred(assignment),
        grey=reviewer.grey_media or assignment.queue.grey_default,
        muted=reviewer.mute_media or assignment.queue.mute_default,
        shift=shift_of(reviewer),
        late_by=late_by(item, assignment.queue),
        others_here=others_at(user=reviewer, item=item),
        flagged=is_flagged(reviewer, item),
        others=others,
    )


def _named(prediction: Prediction | None, work: Work, others: Iterable[Review]) -> frozenset[str]:
    """The category codes that the page must be able to show, whether the policy still has them or not."""
    return work.categories.union(prediction.categories if prediction else (), *(review.categories for review in others))


def _blurred(assignment: Assignment) -> bool:
    """Whether the reviewer, the queue or a category that the guard named calls for blurring.

    The guard's categories count in blind queues too.
    """
    prediction, queue = assignment.item.prediction, assignment.queue
    named = bool(prediction and set(prediction.categories).intersection(queue.blur_categories))
    return assignment.reviewer.blur_media or queue.blur_default or named


def _history(assignment: Assignment) -> list[Event]:
    """The item's newest events; for hidden gold, only those of any new item, so that nobody recognises it."""
    events = assignment.item.events.select_related("actor").order_by("-id")
    if assignment.hidden_gold_id is not None:
        events = events.filter(kind__in=[EventKind.INGESTED, EventKind.PREDICTED, EventKind.REPORTED])
    return list(events[:40])


def judgement_shown(assignment: Assignment, payload: Mapping[str, Any]) -> bool:
    """Whether the guard's judgement may be shown.

    Open: always. Blind: never. Decide first: once the person's own verdict is stored, or if they have reviewed the item
    before.
    """
    if assignment.review_mode == ReviewMode.OPEN:
        return True
    if assignment.review_mode == ReviewMode.BLIND:
        return False
    if assignment.revealed_at or payload.get("first"):
        return True
    return Review.objects.filter(item=assignment.item_id, reviewer=assignment.reviewer_id).exists()


def tallies(prediction: Prediction | None) -> tuple[Tally, ...]:
    if prediction is None or not prediction.rollouts:
        return ()
    tasks = ["prompt"] if prediction.item.response is None else ["prompt", "response"]
    return tuple(_tally(task, prediction.rollouts) for task in tasks)


def _tally(task: str, rollouts: list[dict[str, Any]]) -> Tally:
    cells = [(row.get(f"{task}_label") or NO_LABEL) if row.get("parsed") else UNPARSED for row in rollouts]
    return Tally(task, tuple(Counter(cells).most_common()), tuple(sorted(cells)), len(cells))


def _steps(prediction: Prediction | None, payload: Mapping[str, Any]) -> tuple[Step, ...]:
    texts = list(prediction.steps) if prediction is not None else []
    drafted = [row for row in payload.get("steps") or [] if row.get("text") is not None]
    # the draft belongs to another judgement
    if [row.get("text") for row in drafted] != texts:
        return tuple(Step(number, text) for number, text in enumerate(texts, 1))
    return tuple(
        Step(number, row["text"], row.get("mark"), row.get("edit"), tuple(row.get("links") or ()))
        for number, row in enumerate(drafted, 1)
    )


def reviewed_steps(review: Review) -> tuple[Step, ...]:
    return tuple(
        Step(number, row.get("text"), row.get("mark"), row.get("edit"), tuple(row.get("links") or ()))
        for number, row in enumerate(review.steps, 1)
    )


def _work(payload: Mapping[str, Any]) -> Work:
    if not payload:
        return Work()

    def word(name: str) -> str:
        return "" if payload.get(name) is None else str(payload[name])

    return Work(
        prompt_label=word("prompt_label"),
        response_label=word("response_label"),
        categories=frozenset(payload.get("categories") or ()),
        severity=word("severity"),
        confidence=word("confidence"),
        note=word("note"),
        saved=True,
        reason=word("reason"),
        error_kinds=frozenset(payload.get("error_kinds") or ()),
        added=tuple(row.get("edit") or "" for row in payload.get("steps") or [] if row.get("text") is None),
    )
