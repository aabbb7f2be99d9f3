"""Drafts: unfinished reviews that survive a closed tab, a crash and a lost lease."""

import uuid
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.errors import AssignmentNotFound, DecisionNotValid
from annotation.models import Assignment, Draft, User

MAX_DRAFT_CHARACTERS = 200_000


def save_draft(*, reviewer: User, token: uuid.UUID, payload: dict[str, Any]) -> Draft:
    """Keep the page's state for this reviewer and item; the last save wins. Works on an expired lease too."""
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
