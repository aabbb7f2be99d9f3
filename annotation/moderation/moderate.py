"""Synchronous moderation: the guard judges, thresholds decide, and content for review becomes an item in a queue."""

import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import transaction

from annotation import prometheus
from annotation.database.pool import release_connection
from annotation.ingest.made_id import made_id
from annotation.ingest.store_items import DEFAULT_QUEUE, ingest_items
from annotation.ingest.values import IncomingItem, IncomingMedia
from annotation.models import ApiKey, Calibration, ModerationThreshold, User
from annotation.moderation.guard_client import ContentNotReadable, GuardBusy, GuardNotReady, call_guard
from annotation.moderation.guard_wire import Content, GuardAnswer, JudgeRequest
from annotation.predictions.calibration import calibration_named, values_of
from guardapp.guard.actions import DEFAULT_THRESHOLD, HARMFUL, Action, Scores, Threshold, decide, scores_of
from guardapp.guard.judging import Mode

SOURCE = "moderation"
BUSY_RETRY_S = 1.0
_places = threading.BoundedSemaphore(max(1, settings.WEB_THREADS - settings.PAGE_THREADS))


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The thresholds by category, as set by leads. `queues` maps a category to the slug of its review queue."""

    by_category: Mapping[str, Threshold]
    queues: Mapping[str, str]

    def queue_of(self, category: str) -> str:
        return self.queues.get(category) or self.queues.get(HARMFUL) or DEFAULT_QUEUE

    def of(self, category: str) -> Threshold:
        return self.by_category.get(category, self.by_category.get(HARMFUL, DEFAULT_THRESHOLD))


@dataclass(frozen=True, slots=True)
class Moderated:
    """The outcome for one content.

    `because` is the deciding category, "" if the content is allowed. `item` is the id of the item for review.
    """

    id: str
    content: Content
    answer: GuardAnswer
    scores: Scores
    action: Action
    because: str
    item: int | None = None
    calibration: Calibration | None = None  # of the probabilities; None: they are as the guard says

    @property
    def flagged(self) -> bool:
        return self.action is not Action.ALLOW


def moderate(
    *,
    request: JudgeRequest,
    key: ApiKey | None = None,
    actor: User | None = None,
    open_items: bool = True,
    caller: socket.socket | None = None,
) -> list[Moderated]:
    """Moderate the contents, and return the outcomes in order. Items are created for content that needs review.

    `caller` is the connection that waits; once it is closed, the guard ends its work.

    The caller must ring for new items after commit. Raises GuardNotReady and subclasses, ContentNotReadable,
    QueueNotFound.
    """
    thresholds, began = thresholds_now(), time.monotonic()
    try:
        with _place():
            release_connection()
            answers = call_guard(request, caller)
    except ContentNotReadable as error:
        if error.medium is not None and (places := request.contents[error.content].places):
            error.pointer = places[error.medium]
        raise
    except GuardNotReady as error:
        prometheus.MODERATIONS_REFUSED.labels(type(error).__name__).inc()
        raise
    prometheus.MODERATION_SECONDS.labels(request.mode.value).observe(time.monotonic() - began)
    # in fast mode labels come without reasoning, and no evaluation measures them
    calibration = calibration_named(answers[0].version) if answers and request.mode is Mode.FULL else None
    done = [
        _weighed(content, answer, thresholds, calibration)
        for content, answer in zip(request.contents, answers, strict=True)
    ]
    for one in done:
        prometheus.MODERATIONS.labels(request.mode.value, one.action.value).inc()
    return _with_items(done, thresholds, key, actor) if open_items else done


def thresholds_now() -> Thresholds:
    rows = list(ModerationThreshold.objects.select_related("queue"))
    return Thresholds(
        {row.category: Threshold(row.review_at, row.block_at) for row in rows},
        {row.category: row.queue.slug for row in rows if row.queue is not None},
    )


@contextmanager
def _place() -> Iterator[None]:
    """Occupy one of the web threads available to moderation; the rest are reserved for pages. Raises GuardBusy."""
    if not _places.acquire(timeout=BUSY_RETRY_S):
        raise GuardBusy(retry_after_s=BUSY_RETRY_S)
    try:
        yield
    finally:
        _places.release()


def _weighed(
    content: Content, answer: GuardAnswer, thresholds: Thresholds, calibration: Calibration | None
) -> Moderated:
    # at a promotion, two versions may have judged the contents of one request
    applied = calibration if calibration is not None and calibration.version.name == answer.version else None
    scores = scores_of(answer.judged.all, values_of(applied))
    action, because = decide(scores, thresholds.by_category)
    if answer.unseen and action is Action.ALLOW:  # nobody has seen the rest
        action, because = Action.REVIEW, HARMFUL
    return Moderated(f"modr-{uuid4().hex}", content, answer, scores, action, because, calibration=applied)


def _with_items(
    done: Sequence[Moderated], thresholds: Thresholds, key: ApiKey | None, actor: User | None
) -> list[Moderated]:
    """Create items for content to review. Content moderated repeatedly gets a single item."""
    by_queue: dict[str, list[int]] = {}
    for at, one in enumerate(done):
        if one.action is Action.REVIEW:
            by_queue.setdefault(thresholds.queue_of(one.because), []).append(at)
    opened: dict[int, int | None] = {}
    with transaction.atomic():
        for queue, places in by_queue.items():
            rows = [_incoming(done[at]) for at in places]
            results = ingest_items(rows=rows, key=key, actor=actor, queue=queue, again=False)
            opened |= {at: result.id for at, result in zip(places, results, strict=True)}
    return [replace(one, item=opened.get(at)) for at, one in enumerate(done)]


def _incoming(moderated: Moderated) -> IncomingItem:
    content, scores = moderated.content, moderated.scores
    score = scores.unnamed if moderated.because == HARMFUL else scores.categories[moderated.because]
    if moderated.answer.unseen:
        why = f"the guard did not see {moderated.answer.unseen} further pages or pictures of a file"
    elif scores.readable:
        why = f"{moderated.because} {score:.2f}"
    else:
        why = "the guard's answer cannot be read"
    reason: dict[str, Any] = {
        "text": f"Moderation asks for people: {why}",
        "moderation": moderated.id,
    }
    return IncomingItem(
        external_id=made_id(content.prompt, content.response, content.media, content.messages),
        source=SOURCE,
        prompt=content.prompt,
        response=content.response,
        messages=content.messages,
        reason=reason,
        media=tuple(IncomingMedia(data, f"/media/{number}") for number, data in enumerate(content.media)),
    )
