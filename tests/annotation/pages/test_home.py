"""Home, items, item, policy, keys, upload, export: what they show, and to whom."""

import gzip
import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from annotation.models import ApiKey, Item, User
from annotation.people.api_keys import create_key
from annotation.review.assign import assign_next
from annotation.review.decision import Decision
from annotation.review.submit import escalate, submit_review
from annotation.status import ApiScope, ItemStatus, ReviewKind, Role
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
FOR_ALL = ("home", "items", "policy", "keys")
FOR_LEADS = ("upload", "export", "export_download", "review_escalated")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def lead(client: Client) -> User:
    user = make_user(role=Role.LEAD)
    client.force_login(user)
    return user


def review_of(item: Item, reviewer: User, label: Harmfulness = Harmfulness.UNHARMFUL) -> None:
    held = assign_next(reviewer=reviewer, queue=item.queue)
    assert held is not None
    assert held.item_id == item.pk
    submit_review(
        reviewer=reviewer,
        token=held.token,
        idempotency_key=f"key-of-{held.pk}",
        decision=Decision(kind=ReviewKind.CORRECTED, prompt_label=label),
    )


@pytest.mark.parametrize("name", [*FOR_ALL, *FOR_LEADS])
def test_nobody_sees_a_page_before_signing_in(client: Client, name: str) -> None:
    answer = client.get(reverse(name))
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("login"))


@pytest.mark.parametrize("name", FOR_ALL)
def test_reviewers_open_the_pages_for_all(name: str) -> None:
    make_item()
    assert signed_in(make_user()).get(reverse(name)).status_code == 200


@pytest.mark.parametrize("name", FOR_LEADS)
def test_reviewers_are_kept_out_of_leads_pages(name: str) -> None:
    assert signed_in(make_user()).get(reverse(name)).status_code == 403


@pytest.mark.parametrize("name", FOR_LEADS)
def test_leads_open_their_pages(client: Client, lead: User, name: str) -> None:
    default_queue()
    assert client.get(reverse(name)).status_code == 200


def test_a_page_carries_no_inline_script_or_style(client: Client, lead: User) -> None:
    item = make_item()
    for url in [
        reverse("home"),
        reverse("items"),
        reverse("item", args=[item.pk]),
        reverse("review", args=["default"]),
    ]:
        page = client.get(url)
        assert " style=" not in page.text
        assert "<style" not in page.text
        assert page.text.count("<script") == page.text.count("<script src=") + page.text.count(
            '<script type="module" src='
        )
        assert "script-src 'self'" in page["Content-Security-Policy"]


def test_home_counts_each_queue_and_lists_ones_own_reviews() -> None:
    item, other = make_item(priority=2.0), make_item()
    reviewer = make_user()
    review_of(item, reviewer)
    page = signed_in(reviewer).get(reverse("home"))
    assert [(row.ready, row.reviewed) for row in page.context["queues"]] == [(1, 1)]
    assert item.external_id in page.text
    assert other.external_id not in page.text


def test_home_shows_leads_what_is_escalated_or_failed(client: Client, lead: User) -> None:
    handed_up = make_item()
    failed = make_item(status=ItemStatus.PREDICTION_FAILED, predicted=False, error_message="The file is cut off.")
    reviewer = make_user()
    held = assign_next(reviewer=reviewer, queue=default_queue())
    assert held is not None
    escalate(reviewer=reviewer, token=held.token, reason="Irony?")
    page = client.get(reverse("home")).text
    assert handed_up.external_id in page
    assert "Irony?" in page
    assert failed.external_id in page
    assert "The file is cut off." in page
    assert "Irony?" not in signed_in(reviewer).get(reverse("home")).text


def test_items_are_found_by_status_and_by_the_beginning_of_the_id(client: Client, lead: User) -> None:
    ready, pending = make_item(), make_item(status=ItemStatus.PENDING, predicted=False)
    assert [row.pk for row in client.get(reverse("items"), {"status": "pending"}).context["page"].items] == [pending.pk]
    assert [row.pk for row in client.get(reverse("items"), {"q": ready.external_id}).context["page"].items] == [
        ready.pk
    ]
    assert "No item fits" in client.get(reverse("items"), {"q": "no such id"}).text


def test_pages_of_items_go_on_from_an_id_and_back(client: Client, lead: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annotation.items.lists.PAGE_SIZE", 2)
    newest_first = [make_item().pk for _ in range(5)][::-1]
    first = client.get(reverse("items")).context["page"]
    second = client.get(reverse("items"), {"before": first.older}).context["page"]
    last = client.get(reverse("items"), {"before": second.older}).context["page"]
    assert [row.pk for page in (first, second, last) for row in page.items] == newest_first
    assert (first.newer, last.older) == (None, None)
    back = client.get(reverse("items"), {"after": second.newer}).context["page"]
    assert [row.pk for row in back.items] == newest_first[:2]


def test_htmx_gets_the_table_only(client: Client, lead: User) -> None:
    make_item()
    assert "<html" not in client.get(reverse("items"), headers={"HX-Request": "true"}).text


@pytest.mark.parametrize("signed_in_before", [False, True])
def test_a_form_without_its_token_is_answered_in_words_for_people(signed_in_before: bool) -> None:
    client = Client(enforce_csrf_checks=True)
    if signed_in_before:
        client.force_login(make_user())
    answer = client.post(reverse("login"), {"username": "ada", "password": "a wrong one"})
    assert answer.status_code == 403
    assert "Nothing was sent" in answer.content.decode()


def test_a_new_key_is_shown_once_and_kept_as_a_hash(client: Client, lead: User) -> None:
    page = client.post(reverse("keys"), {"name": "Importer", "scopes": ["items:write"], "days": "90"})
    secret = page.context["made"].secret
    assert secret in page.text
    assert secret not in client.get(reverse("keys")).text
    assert ApiKey.objects.get().owner == lead


def test_a_reviewer_cannot_make_a_key_that_may_do_more_than_they() -> None:
    page = signed_in(make_user()).post(reverse("keys"), {"name": "More", "scopes": ["export"], "days": "0"})
    assert page.status_code == 422
    assert not ApiKey.objects.exists()


def test_people_revoke_their_own_keys_and_nobody_elses() -> None:
    owner = make_user()
    key = create_key(owner=owner, name="Mine", scopes=[ApiScope.REVIEWS_WRITE]).key
    url = reverse("key_revoke", args=[key.prefix])
    assert signed_in(make_user()).post(url).status_code == 404
    assert signed_in(owner).post(url).status_code == 302
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_an_upload_stores_good_lines_and_names_bad_ones(
    client: Client, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[object] = []
    monkeypatch.setattr("annotation.pages.upload.ring", rung.append)
    default_queue()
    good, bad = {"external_id": "u-1", "prompt": "Hello?"}, {"external_id": "u-2", "prompt": "x", "colour": 1}
    lines = [json.dumps(good), "{broken", json.dumps(bad)]
    file = SimpleUploadedFile("rows.jsonl", "\n".join(lines).encode())
    page = client.post(reverse("upload"), {"file": file, "queue": "default"})
    assert page.status_code == 200
    assert (page.context["report"].created, page.context["report"].rejected_count) == (1, 2)
    assert [line for line, _ in page.context["rejected"]] == [2, 3]
    assert len(rung) == 1


def test_an_upload_without_a_file_says_what_to_do(client: Client, lead: User) -> None:
    default_queue()
    page = client.post(reverse("upload"), {"queue": "default"})
    assert page.status_code == 422
    assert "Choose a file first." in page.text


def test_the_export_streams_rows_and_refuses_unknown_formats(client: Client, lead: User) -> None:
    review_of(make_item(), make_user())
    answer = client.get(reverse("export_download"), {"format": "canonical", "rows": "hard"})
    assert answer.streaming
    assert answer["Content-Disposition"] == 'attachment; filename="guardapp-canonical-hard.jsonl"'
    rows = b"".join(answer).splitlines()
    assert len(rows) == 1
    assert client.get(reverse("export_download"), {"format": "xml"}).status_code == 400


def test_blur_is_the_persons_own_choice(client: Client) -> None:
    user = make_user()
    client.force_login(user)
    client.post(reverse("blur"))
    user.refresh_from_db()
    assert not user.blur_media


def test_signing_in_and_out(client: Client) -> None:
    user = make_user()
    answer = client.post(reverse("login"), {"username": user.username, "password": "a long test passphrase"})
    assert answer["Location"] == reverse("home")
    assert client.post(reverse("logout"))["Location"] == reverse("login")
    assert "do not fit together" in client.post(reverse("login"), {"username": user.username, "password": "wrong"}).text


def test_a_gzip_file_with_broken_bytes_is_reported_as_broken(client: Client, lead: User) -> None:
    default_queue()
    packed = bytearray(gzip.compress(b"{}"))
    packed[10] = 0x07  # after the header: a kind of block that there is not
    page = client.post(
        reverse("upload"), {"file": SimpleUploadedFile("rows.jsonl.gz", bytes(packed)), "queue": "default"}
    )
    assert page.status_code == 422
    assert "archive is broken" in page.content.decode()


def test_a_search_for_a_nul_character_finds_nothing(client: Client, lead: User) -> None:
    make_item()
    page = client.get(reverse("items"), {"q": "item\x00"})
    assert page.status_code == 200
    assert "\x00" not in page.content.decode()


def test_leads_see_disputes_among_what_waits_for_them(client: Client, lead: User) -> None:
    item = make_item(queue=default_queue(reviews_per_item=2))
    review_of(item, make_user())
    review_of(item, make_user(), Harmfulness.HARMFUL)
    page = client.get(reverse("home")).text
    assert "Nothing waits for a lead" not in page
    assert "the reviewers disagree" in page
