"""Pages of items whose filter hardly anything fits: each looks a stretch of ids further, and together they find
everything once.
"""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from annotation.database import id_windows
from annotation.database.id_windows import Scanned, scan_ahead, scan_back
from annotation.items.item_values import page_of_items
from annotation.items.search import ItemSearch, newest_id
from annotation.models import Item
from annotation.status import Lane, Role
from tests.factories import make_item, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ids(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Forty items of which every seventh is in the lane that is looked for; some others are gone."""
    made = [make_item(lane=Lane.AUDIT if number % 7 == 0 else Lane.FLAGGED) for number in range(40)]
    Item.objects.filter(pk__in=[item.pk for item in made[20:27]], lane=Lane.FLAGGED).delete()
    monkeypatch.setattr(id_windows, "STRETCH", 4)
    return [item.pk for item in made[::7]]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """One stretch a page."""
    monkeypatch.setattr(id_windows, "SCAN_S", 0.0)


def pages(scan: Callable[[int], Scanned[int]], start: int) -> list[list[int]]:
    found: list[list[int]] = []
    reached: int | None = start
    while reached is not None:
        scanned = scan(reached)
        found.append(scanned.rows)
        reached = scanned.reached
    return found


def test_with_time_enough_one_page_scans_everything(ids: list[int]) -> None:
    rows = Item.objects.filter(lane=Lane.AUDIT).values_list("pk", flat=True)
    assert scan_back(rows, before=newest_id() + 1, limit=50) == Scanned(ids[::-1], None)
    assert scan_ahead(rows, after=0, up_to=newest_id(), limit=50) == Scanned(ids, None)
    assert scan_back(rows, before=newest_id() + 1, limit=2) == Scanned(ids[:-3:-1], None)
    assert scan_ahead(rows, after=ids[1], up_to=newest_id(), limit=2) == Scanned(ids[2:4], None)


def test_pages_that_stop_early_go_on_where_they_stopped(ids: list[int], impatient: None) -> None:
    rows = Item.objects.filter(lane=Lane.AUDIT).values_list("pk", flat=True)
    back = pages(lambda before: scan_back(rows, before=before, limit=50), newest_id() + 1)
    ahead = pages(lambda after: scan_ahead(rows, after=after, up_to=newest_id(), limit=50), 0)
    assert [pk for page in back for pk in page] == ids[::-1]
    assert [pk for page in ahead for pk in page] == ids
    assert [] in back and [] in ahead
    assert scan_back(rows, before=1, limit=50) == Scanned([], None)


def test_a_program_finds_all_by_going_on_until_there_is_no_next(ids: list[int], impatient: None) -> None:
    found, cursor, asked = [], "", 0
    while True:
        page = page_of_items(ItemSearch(lane="audit"), cursor=cursor)
        found += [item["id"] for item in page["items"]]
        asked += 1
        if page["next"] is None:
            break
        cursor = page["next"]
    assert found == ids[::-1]
    assert asked > 3


def test_a_page_shows_that_there_may_be_more_and_the_next_goes_on(
    ids: list[int], impatient: None, client: Client
) -> None:
    client.force_login(make_user(Role.LEAD))
    Item.objects.filter(pk__gte=ids[-2]).exclude(pk=newest_id()).update(lane=Lane.FLAGGED)
    first = client.get(reverse("items"), {"lane": "audit"})
    page = first.context["page"]
    assert (page.items, page.older) == ([], page.reached)
    assert "Nothing found so far" in first.content.decode() and "Look further back" in first.content.decode()
    while not page.items:
        answer = client.get(reverse("items"), {"lane": "audit", "before": page.older})
        page = answer.context["page"]
    assert [item.pk for item in page.items] == [ids[-3]]
    assert "has not been looked at yet" in answer.content.decode()
    ahead = client.get(reverse("items"), {"lane": "audit", "after": page.newer})
    assert ahead.context["page"].reached == ahead.context["page"].newer
    assert "Look further ahead" in ahead.content.decode()


def test_what_an_index_finds_is_found_at_once_however_far_back(ids: list[int], impatient: None) -> None:
    oldest = Item.objects.order_by("pk")[0]
    page = page_of_items(ItemSearch(external_id=oldest.external_id))
    assert ([item["id"] for item in page["items"]], page["next"]) == ([oldest.pk], None)
