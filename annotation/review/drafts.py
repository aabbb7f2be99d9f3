"""Drafts: unfinished reviews, which survive a closed tab, a crash or a lost lease."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.errors import AssignmentNotFound, DecisionNotValid
from annotation.models import Assignment, Draft, Item, User
from annotation.review.step_links import Link
from annotation.status import ReviewMode

MAX_DRAFT_CHARACTERS = 200_000


def save_draft(*, reviewer: User, token: uuid.UUID, payload: dict[str, Any]) -> Draft:
    """Save the page's state for this reviewer and item; the last save wins. Also works on an expired lease.

    Raises DecisionNotValid, AssignmentNotFound.
    """
    if len(str(payload)) > MAX_DRAFT_CHARACTERS:
        raise DecisionNotValid(
            "draft",
            _("is longer than %(most)s characters. Shorten the steps or the note.")
            % {"most": f"{MAX_DRAFT_CHARACTERS:,}"},
        )
    item_id = Assignment.objects.filter(token=token, reviewer=reviewer).values_list("item_id", flat=True).first()
    if item_id is None:
        raise AssignmentNotFound
    return Draft.objects.update_or_create(
        item_id=item_id, reviewer=reviewer, defaults={"payload": payload, "saved_at": timezone.now()}
    )[0]


def draft_first(assignment: Assignment) -> dict[str, Any]:
    """The verdict given before the reveal, if any. Only decide-first queues ask for it."""
    if assignment.review_mode != ReviewMode.DECIDE_FIRST:
        return {}
    return dict(draft_of(assignment.item, assignment.reviewer).get("first") or {})


def draft_of(item: Item, reviewer: User) -> dict[str, Any]:
    payload = Draft.objects.filter(item=item, reviewer=reviewer).values_list("payload", flat=True).first()
    return _readable(payload) if payload else {}


def _readable(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The draft in the page's format.

    API clients may store drafts in other shapes; unreadable parts are dropped.
    """
    steps, categories, first, kinds = (payload.get(name) for name in ("steps", "categories", "first", "error_kinds"))
    rows = [row for row in steps if isinstance(row, dict)] if isinstance(steps, list) else []
    words = {name: value for name, value in payload.items() if isinstance(value, (str, int))}
    return {
        **words,
        "first": first if isinstance(first, dict) else {},
        "steps": [
            {name: row.get(name) if isinstance(row.get(name), str) else None for name in ("text", "mark", "edit")}
            | {"links": _links(row)}
            for row in rows
        ],
        "categories": [code for code in categories if isinstance(code, str)] if isinstance(categories, list) else [],
        "error_kinds": [kind for kind in kinds if isinstance(kind, str)] if isinstance(kinds, list) else [],
    }


def _links(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = row.get("links")
    try:
        return [Link.of(link).as_json() for link in given] if isinstance(given, list) else []
    except DecisionNotValid:
        return []
