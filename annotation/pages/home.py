"""Home and policy."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from annotation.items import lists as selectors
from annotation.predictions.selectors import production_or_none
from annotation.review.flags import flagged_items
from annotation.web.permissions import person


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    user = person(request)
    context = {"queues": selectors.queues_with_counts(user), "reviews": selectors.last_reviews(user), "flagged": flagged_items(user)}
    if user.is_lead:
        context |= {"escalated": selectors.escalated_items(), "failed": selectors.failed_items(), "guard": production_or_none()}
    return render(request, "annotation/home.html", context)
