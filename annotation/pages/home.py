"""The home page."""

from collections import Counter
from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from annotation.items import lists
from annotation.items.skipped import skipped_by_queue
from annotation.predictions.production import production_or_none
from annotation.queues.counts import queues_with_counts
from annotation.review.flags import flagged_items
from annotation.review.lists import escalated_items, last_reviews
from annotation.web.permissions import person


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    user = person(request)
    skipped = skipped_by_queue() if user.is_lead else Counter[int]()
    context: dict[str, Any] = {
        "queues": [replace(row, skipped=skipped[row.queue.pk]) for row in queues_with_counts(user)],
        "reviews": last_reviews(user),
        "flagged": flagged_items(user),
    }
    if user.is_lead:
        context |= {"escalated": escalated_items(), "failed": lists.failed_items(), "guard": production_or_none()}
    return render(request, "annotation/home/page.html", context)
