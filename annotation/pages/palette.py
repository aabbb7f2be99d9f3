"""Search results of the command palette (`Ctrl+K`), beyond the page's own commands."""

from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.database.lists import begins_with
from annotation.database.storable import cleaned
from annotation.models import Item
from annotation.queues.access import queues_of, visible_items
from annotation.review.item_life import sight_of
from annotation.web.permissions import person

# results of each kind
FOUND = 8


@require_GET
@never_cache
def palette(request: HttpRequest) -> JsonResponse:
    """Queues by name, and items by id or external id."""
    query = cleaned(request.GET.get("q", "")[:1_000]).strip()[:200]
    user = person(request)
    found = [
        {"words": queue.name, "sub": _("Queue"), "url": reverse("review", args=[queue.slug])}
        for queue in queues_of(user)
        if query.lower() in queue.name.lower()
    ][:FOUND]
    if query:
        items = visible_items(user, Item.objects.select_related("queue"))
        by_id = list(items.filter(pk=int(query))) if query.isdecimal() and len(query) < 19 else []
        shown = list(dict.fromkeys([*by_id, *items.filter(begins_with("external_id", query)).order_by("-id")[:FOUND]]))
        sight_of(user, shown).disguise(shown)
        found += [
            {
                "words": item.external_id,
                "url": reverse("item", args=[item.pk]),
                "sub": _("Item %(number)s, %(status)s") % {"number": item.pk, "status": item.get_status_display()},
            }
            for item in shown
        ]
    return JsonResponse({"found": found})
