"""Pages show times in the person's or the installation's zone and name it; programs and exports get UTC."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from annotation.models import Event, Item
from annotation.status import ApiScope, EventKind, Role
from tests.annotation.conftest import KeyedClient, broker, with_key
from tests.factories import make_item, make_user
from tests.paths import ROOT

assert broker and with_key
pytestmark = pytest.mark.django_db
WINTER = datetime(2026, 1, 15, 23, 30, tzinfo=UTC)
SUMMER = datetime(2026, 7, 15, 23, 30, tzinfo=UTC)


def page_of(item: Item, client: Client) -> str:
    return " ".join(client.get(reverse("item", args=[item.pk])).text.split())


@pytest.mark.parametrize(
    ("zone", "at", "shown"),
    [
        ("", WINTER, "15 Jan 2026, 23:30 UTC"),
        ("Europe/Berlin", WINTER, "16 Jan 2026, 00:30 CET"),
        ("Europe/Berlin", SUMMER, "16 Jul 2026, 01:30 CEST"),
        ("America/New_York", WINTER, "15 Jan 2026, 18:30 EST"),
        ("Asia/Kolkata", SUMMER, "16 Jul 2026, 05:00 IST"),
    ],
)
def test_a_person_sees_times_in_their_zone_with_its_name(client: Client, zone: str, at: datetime, shown: str) -> None:
    client.force_login(make_user(Role.LEAD, time_zone=zone))
    item = make_item(created_at=at)
    Event.objects.create(kind=EventKind.INGESTED, item=item, at=at)
    page = page_of(item, client)
    assert shown in page
    times = re.findall(r'<time[^>]* datetime="([^"]+)"', page)
    assert times and {datetime.fromisoformat(one) for one in times} == {at}


def test_the_installation_has_a_zone_for_those_who_chose_none(client: Client, settings: Settings) -> None:
    settings.PAGES_TIME_ZONE = "Europe/Berlin"
    item = make_item(created_at=WINTER)
    client.force_login(make_user(Role.LEAD))
    assert "00:30 CET" in page_of(item, client)
    client.force_login(make_user(Role.LEAD, time_zone="UTC"))
    assert "23:30 UTC" in page_of(item, client)
    assert timezone.get_current_timezone_name() == "UTC", "what runs after the request is not in its zone"


def test_how_long_ago_it_was_tells_the_time_itself_too(client: Client) -> None:
    client.force_login(make_user(Role.LEAD, time_zone="Europe/Berlin"))
    make_item(created_at=WINTER)
    assert 'title="16 Jan 2026, 00:30 CET"' in client.get(reverse("items")).text


def test_a_zone_is_chosen_in_the_account_and_nonsense_is_refused(client: Client) -> None:
    person = make_user()
    client.force_login(person)
    client.post(reverse("account"), {"time_zone": "Europe/Berlin"})
    person.refresh_from_db()
    assert person.time_zone == "Europe/Berlin"
    said = client.post(reverse("account"), {"time_zone": "../../etc/passwd"}, follow=True).text
    person.refresh_from_db()
    assert "is no time zone" in said and person.time_zone == "Europe/Berlin"


def test_programs_get_utc_whatever_the_zone(with_key: KeyedClient, settings: Settings) -> None:
    settings.PAGES_TIME_ZONE = "Europe/Berlin"
    owner = make_user(Role.LEAD, time_zone="Asia/Kolkata")
    api: APIClient = with_key(ApiScope.ITEMS_READ, owner=owner)
    item = make_item(created_at=WINTER)
    for said in (
        api.get(f"/api/v1/items/{item.pk}").json()["created_at"],
        api.get("/api/v1/items").json()["items"][0]["created_at"],
    ):
        assert datetime.fromisoformat(said) == WINTER and datetime.fromisoformat(said).utcoffset() == UTC.utcoffset(
            None
        )


def test_an_unknown_zone_of_the_installation_is_refused_with_the_name_of_the_setting(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import guardapp.settings"],
        cwd=ROOT,
        env={**os.environ, "GUARDAPP_DATA": str(tmp_path), "GUARDAPP_TIME_ZONE": "Middle/Earth"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "GUARDAPP_TIME_ZONE" in done.stderr
