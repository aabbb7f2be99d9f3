"""Which language a page speaks, and that the API always speaks English."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.translation import deactivate, override

from annotation.errors import LeaseExpired
from annotation.models import Item, User
from annotation.status import ItemStatus, Role
from tests.factories import default_policy, make_item, make_user
from tests.markup import folded

pytestmark = pytest.mark.django_db
GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    """A request leaves its language to the thread, and the next test asks in the same one."""
    yield
    deactivate()


def _root(page: str) -> str:
    """The start tag of the page, on one line."""
    return " ".join(page.partition("<html")[2].partition(">")[0].split())


@pytest.fixture
def german_lead(client: Client) -> User:
    lead = make_user(role=Role.LEAD, ui_language="de")
    client.force_login(lead)
    default_policy()
    return lead


def test_nobody_in_particular_is_spoken_to_as_the_browser_asks(client: Client) -> None:
    german = client.get(reverse("login"), headers=GERMAN).text
    assert 'lang="de" dir="ltr"' in _root(german)
    assert "Anmelden" in german
    assert "Sign in" not in german
    assert 'lang="en"' in _root(client.get(reverse("login"), headers={"Accept-Language": "fr"}).text)


def test_a_persons_choice_goes_before_the_browsers(client: Client, german_lead: User) -> None:
    assert 'lang="de"' in _root(client.get(reverse("home"), headers={"Accept-Language": "en"}).text)


def test_a_person_chooses_on_the_account_page_and_is_answered_in_that_language(client: Client) -> None:
    user = make_user()
    client.force_login(user)
    default_policy()
    said = client.post(reverse("account"), {"language": "de"}, follow=True).text
    assert "Gespeichert. Es gilt ab dem nächsten Eintrag." in said
    assert '<option value="de" lang="de" selected>Deutsch</option>' in said
    client.post(reverse("account"), {"language": "tlh"})
    user.refresh_from_db()
    assert user.ui_language == ""


def test_dates_and_numbers_are_written_as_germans_write_them(client: Client, german_lead: User) -> None:
    item = make_item(prediction={"prompt_score": 1.0, "prompt_marginal": 0.75, "prompt_harm": 0.75})
    Item.objects.filter(pk=item.pk).update(created_at=datetime(2026, 3, 5, 12, 30, tzinfo=UTC))
    assert "5. Mär 2026, 12:30" in client.get(reverse("item", args=[item.pk])).text
    assert "Schadenswahrscheinlichkeit 0,75" in client.get(reverse("review", args=["default"])).text


def test_numbers_that_programs_read_keep_their_point(client: Client, german_lead: User) -> None:
    page = folded(client.get(reverse("training:gate")).text)
    assert 'name="alpha" type="number" min="0" step="0.001" value="0.05"' in page


@pytest.mark.parametrize(
    "name",
    [
        "home",
        "items",
        "queues",
        "account",
        "policy",
        "upload",
        "keymap",
        "keys",
        "training:home",
        "training:benchmarks",
        "training:recipes",
        "training:schedules",
    ],
)
def test_pages_speak_german(client: Client, german_lead: User, name: str) -> None:
    make_item()
    page = client.get(reverse(name)).text
    assert "Zum Inhalt springen" in page
    assert not [word for word in (">Review<", ">Items<", ">Queues<", ">Save<", ">Undo<", ">Log out<") if word in page]


def test_status_words_and_errors_follow_the_language() -> None:
    assert str(ItemStatus.READY.label) == "Ready for review"
    assert str(LeaseExpired()).startswith("Your hold on this item has run out.")
    with override("de"):
        assert str(ItemStatus.READY.label) == "Bereit zur Prüfung"
        assert str(LeaseExpired()).startswith("Ihre Reservierung dieses Eintrags ist abgelaufen.")


def test_scripts_get_their_words_before_anybody_signs_in(client: Client) -> None:
    answer = client.get(reverse("javascript_words"), headers=GERMAN)
    assert answer["Content-Type"].startswith("text/javascript")
    assert "Wird gespeichert" in answer.text
    assert "Wird gespeichert" not in client.get(reverse("javascript_words")).text


def test_the_api_speaks_english_whatever_the_person_and_the_browser_ask(client: Client, german_lead: User) -> None:
    item = make_item()
    missing = client.get("/api/v1/items/0", headers=GERMAN).json()
    assert missing["title"] == "Not Found"
    refused = client.post(
        f"/api/v1/items/{item.pk}/appeals", {}, content_type="application/json", headers=GERMAN
    ).json()
    assert refused["errors"][0]["detail"] == "This field is required."
    assert "schädlich" not in client.get(f"/api/v1/items/{item.pk}", headers=GERMAN).text
