"""Items for the API: a single item in full, or a page of items."""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db.models import F

from annotation.context.item_context import tells_of_the_guard
from annotation.database.kept_statements import Select
from annotation.ingest.reports import first_of
from annotation.ingest.values import ABOUT, ABOUT_FOR_REVIEWERS
from annotation.items.search import ItemSearch
from annotation.models import Assignment, Draft, GoldLabel, Item, Prediction
from annotation.review.drafts import draft_first
from annotation.review.page_values import judgement_shown

PAGE = 100
MOST_REPORTS = 1_000  # of an answer; report_count tells how many there are
_DRAFT = Select(lambda item, reviewer: Draft.objects.filter(item=item, reviewer=reviewer))


class CursorNotValid(ValueError):
    """This cursor is not one that a page of items gave."""


def item_with_all(item_id: int) -> dict[str, Any]:
    """The item with its prediction, standing reviews and gold. Raises Item.DoesNotExist."""
    item = Item.objects.select_related("queue", "author", "prediction", "prediction__version").get(pk=item_id)
    reviews = (
        item.reviews.filter(retraction__isnull=True)
        .order_by("pk")
        .values(
            "id",
            "kind",
            "prompt_label",
            "response_label",
            "categories",
            "severity",
            "confidence",
            "mode",
            "created_at",
            reviewer_pseudonym=F("reviewer__pseudonym"),
        )
    )
    gold = GoldLabel.objects.standing().filter(item=item).select_related("hard_sample").first()
    return {
        **content_of(item),
        **facts_of(item, ABOUT),
        "report_count": max(item.report_count, len(first_of(item))),
        "status": item.status,
        "queue": item.queue.slug,
        "lane": item.lane,
        "priority": item.priority,
        "created_at": item.created_at,
        "withdrawn_at": item.withdrawn_at,
        "error": {"code": item.error_code, "message": item.error_message} if item.error_code else None,
        "prediction": None if item.prediction is None else prediction_of(item.prediction),
        "reviews": list(reviews),
        "gold": None
        if gold is None
        else {
            "prompt_label": gold.prompt_label,
            "response_label": gold.response_label,
            "categories": gold.categories,
            "source": gold.source,
            "target_steps": gold.target_steps,
            "target_source": gold.target_source,
            "created_at": gold.created_at,
            "hard": gold.hard_sample.errors if hasattr(gold, "hard_sample") else None,
        },
    }


def page_of_items(search: ItemSearch, *, cursor: str = "", limit: int = PAGE) -> dict[str, Any]:
    """A page of items, newest first. Paging is by id, so new items do not shift pages.

    The scan is limited in time, so a page may have fewer than `limit` items, or none, and still name a next page.
    Raises CursorNotValid.
    """
    items = search.items()
    if search.source:
        # API clients mean the full name, not a prefix
        items = items.filter(source=search.source)
    columns = (
        "id",
        "source",
        "external_id",
        "modality",
        "language",
        "status",
        "queue__slug",
        "lane",
        "priority",
        "created_at",
    )
    scanned = search.newest_first(
        items.values(*columns), before=_read_cursor(cursor) if cursor else None, limit=limit + 1
    )
    page = [{"queue": row.pop("queue__slug"), **row} for row in scanned.rows[:limit]]
    goes_on = page[-1]["id"] if len(scanned.rows) > limit else scanned.reached
    return {"items": page, "next": None if goes_on is None else _write_cursor(goes_on)}


def assignment_of(assignment: Assignment) -> dict[str, Any]:
    """The assignment as its reviewer may see it.

    The guard's judgement is included only if the mode shows it before the decision, or after the reveal.
    """
    item, queue = assignment.item, assignment.queue
    draft = _DRAFT.first(item=item.pk, reviewer=assignment.reviewer_id)
    shown = judgement_shown(assignment, {"first": draft_first(assignment)})
    content = content_of(item)
    if not shown and tells_of_the_guard(item):
        content |= {"reason": {}, "reports": []}
    return {
        "token": assignment.token,
        "expires_at": assignment.expires_at,
        "queue": queue.slug,
        "mode": assignment.review_mode,
        "demands": queue.demands,
        "item": content,
        "prediction": prediction_of(item.prediction) if shown and item.prediction is not None else None,
        "draft": None if draft is None else draft.payload,
    }


def content_of(item: Item) -> dict[str, Any]:
    media = (
        []
        if item.modality == "text"
        else list(
            item.item_media.order_by("position").values("asset__sha256", "asset__kind", "asset__mime", "asset__size")
        )
    )
    return {
        "id": item.pk,
        "source": item.source,
        "external_id": item.external_id,
        "modality": item.modality,
        "prompt": item.prompt,
        "response": item.response,
        "messages": item.messages,
        **facts_of(item, ABOUT_FOR_REVIEWERS),
        "media": [{name.removeprefix("asset__"): value for name, value in medium.items()} for medium in media],
    }


def facts_of(item: Item, names: Iterable[str]) -> dict[str, Any]:
    """What the sender said about an item, in the shape that came in."""
    return {name: _READ[name](item) if name in _READ else getattr(item, name) for name in names}


def _author_of(item: Item) -> dict[str, Any] | None:
    author = item.author
    if author is None:
        return None
    return {
        "id": author.external_id,
        "name": author.name,
        "url": author.url,
        "created_at": author.created_at,
        "strikes": author.strikes,
    }


def _reports_of(item: Item) -> list[dict[str, Any]]:
    if not item.report_count:
        first = first_of(item).values()
        return [{"reporter": one.reporter, "reason": one.reason, "reported_at": one.reported_at} for one in first]
    rows = item.reports.order_by("id").values("reporter", "reason", "reported_at")[:MOST_REPORTS]
    return [dict(row) for row in rows]


_READ: Mapping[str, Callable[[Item], Any]] = {"author": _author_of, "reports": _reports_of}


def prediction_of(prediction: Prediction) -> dict[str, Any]:
    return {
        "id": prediction.pk,
        "version": prediction.version.name,
        "parsed": prediction.parsed,
        "steps": prediction.steps,
        "prompt_label": prediction.prompt_label,
        "response_label": prediction.response_label,
        "categories": prediction.categories,
        "prompt_score": prediction.prompt_score,
        "response_score": prediction.response_score,
        "prompt_marginal": prediction.prompt_marginal,
        "response_marginal": prediction.response_marginal,
        "prompt_harm": prediction.prompt_harm,
        "response_harm": prediction.response_harm,
        "calibration": prediction.calibration_id,
        "disagreement": prediction.disagreement,
        "completion": prediction.completion,
        "windows": prediction.windows,
        "created_at": prediction.created_at,
    }


def _write_cursor(item_id: int) -> str:
    return base64.urlsafe_b64encode(f"before:{item_id}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> int:
    try:
        word, _, number = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(":")
        if word != "before" or len(number) > 18:
            raise CursorNotValid(CursorNotValid.__doc__)
        return int(number)
    except (binascii.Error, ValueError) as error:
        raise CursorNotValid(CursorNotValid.__doc__) from error
