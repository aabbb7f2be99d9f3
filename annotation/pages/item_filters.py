"""Filters of the item list: the form, the chips of active filters, and saved searches."""

from dataclasses import dataclass, replace
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from annotation.errors import ServiceError
from annotation.items.saved_filters import delete_filter, save_filter
from annotation.items.search import OF_THE_JUDGEMENT, ItemSearch
from annotation.models import ModelVersion, SavedFilter, User
from annotation.predictions.active_policy import active_policy_version, known_categories
from annotation.queues.access import queues_of
from annotation.status import TOO_LONG, ItemStatus, Lane
from annotation.web.permissions import person
from guardapp.guard.taxonomy import Harmfulness, Modality

WORDS = {
    "q": gettext_lazy("Search"),
    "text": gettext_lazy("Words"),
    "external_id": gettext_lazy("Id begins with"),
    "source": gettext_lazy("Source"),
    "status": gettext_lazy("Status"),
    "skipped": gettext_lazy("Skipped"),
    "guard": gettext_lazy("Guard"),
    "queue": gettext_lazy("Queue"),
    "lane": gettext_lazy("Lane"),
    "modality": gettext_lazy("Modality"),
    "language": gettext_lazy("Language"),
    "category": gettext_lazy("Category"),
    "label": gettext_lazy("Guard says"),
    "version": gettext_lazy("Version"),
    "reviewer": gettext_lazy("Reviewed by"),
    "author": gettext_lazy("Author"),
    "reports": gettext_lazy("Reports at least"),
    "since": gettext_lazy("From"),
    "until": gettext_lazy("To"),
}
SKIPPED = {"all": gettext_lazy("by everybody"), "some": gettext_lazy("by somebody")}
GUARD = {TOO_LONG: gettext_lazy("too long for the guard")}
# always visible; the others are inside the disclosure
IN_SIGHT = frozenset({"q", "status"})
NEWEST_VERSIONS = 50


@dataclass(frozen=True, slots=True)
class Chip:
    """One active filter, and the query string without it."""

    name: str
    value: str
    query: str


def search_for(user: User, values: QueryDict) -> ItemSearch:
    """The search of a query string, without what would reveal something to this person.

    Only leads filter by the judgement, which some queues hide, by other people's reviews, which tell hidden gold, and
    by what people skipped.
    """
    search = ItemSearch.of(values)
    if user.is_lead:
        return search
    return search.without(*OF_THE_JUDGEMENT, "skipped", *(["reviewer"] if search.reviewer != user.username else []))


def filter_context(user: User, search: ItemSearch) -> dict[str, Any]:
    queues = list(queues_of(user))
    names: dict[str, dict[str, Any]] = {
        "status": dict(ItemStatus.choices),
        "skipped": {value: str(words) for value, words in SKIPPED.items()},
        "guard": {value: str(words) for value, words in GUARD.items()},
        "lane": dict(Lane.choices),
        "queue": {queue.slug: queue.name for queue in queues},
        "modality": {one.value: _(one.value) for one in Modality},
        "label": {one.value: _(one.value) for one in Harmfulness},
    }
    chips = [
        Chip(str(WORDS[name]), str(names.get(name, {}).get(value, value)), replace(search, **{name: ""}).query)
        for name, value in search.narrowed.items()
    ]
    return {
        "search": search,
        "chips": chips,
        "more": sum(name not in IN_SIGHT for name in search.narrowed),
        "queues": queues,
        "statuses": ItemStatus.choices,
        "lanes": Lane.choices,
        "skips": SKIPPED.items(),
        "unjudged": GUARD.items(),
        "modalities": [one.value for one in Modality],
        "labels": [one.value for one in Harmfulness],
        "saved": saved_for(user),
        **_of_the_judgement(user),
    }


def saved_for(user: User) -> list[tuple[SavedFilter, bool]]:
    """The user's own filters and the shared ones, each with whether the user may delete it."""
    rows = SavedFilter.objects.filter(Q(owner=user) | Q(shared=True)).select_related("owner").order_by("name", "id")
    return [(row, row.owner_id == user.pk or user.is_lead) for row in rows]


@require_POST
def save(request: HttpRequest) -> HttpResponse:
    search = search_for(person(request), QueryDict(request.POST.get("query", "")))
    try:
        saved = save_filter(
            owner=person(request), name=request.POST.get("name", ""), search=search, shared="shared" in request.POST
        )
    except ServiceError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("Saved as %(name)s.") % {"name": saved.name})
    return redirect(f"{reverse('items')}?{search.query}")


@require_POST
def delete(request: HttpRequest, filter_id: int) -> HttpResponse:
    """404 for a filter that the user cannot see; a shared filter is deleted by its owner or a lead."""
    user = person(request)
    visible = SavedFilter.objects.all() if user.is_lead else SavedFilter.objects.filter(Q(owner=user) | Q(shared=True))
    saved = get_object_or_404(visible, pk=filter_id)
    try:
        delete_filter(saved=saved, by=user)
    except ServiceError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("%(name)s is deleted.") % {"name": saved.name})
    return redirect("items")


def _of_the_judgement(user: User) -> dict[str, Any]:
    if not user.is_lead:
        return {}
    return {
        "categories": known_categories(active_policy_version()),
        "versions": list(ModelVersion.objects.order_by("-id").values_list("name", flat=True)[:NEWEST_VERSIONS]),
    }
