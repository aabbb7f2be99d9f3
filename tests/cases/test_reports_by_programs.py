"""Reports by programs: what the API takes and refuses, and lists of items by reports and authors."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from annotation.ingest.values import MAX_REPORTS
from annotation.models import Author, Item, Report
from annotation.status import ApiScope, Role
from tests.annotation.conftest import KeyedClient
from tests.cases.test_reports import INSULT, THREAT, send
from tests.factories import make_item, make_user

pytestmark = pytest.mark.django_db


@pytest.mark.urls("annotation.api_urls")
def test_a_program_reports_an_item_without_sending_its_content(with_key: KeyedClient) -> None:
    item, client = make_item(), with_key(ApiScope.ITEMS_WRITE)
    address = f"/api/v1/items/{item.pk}/reports"
    first, again = client.post(address, INSULT, format="json"), client.post(address, INSULT, format="json")
    assert (first.status_code, first.json()) == (
        201,
        {"item": item.pk, "reports_added": 1, "report_count": 1, "reopened": False},
    )
    assert (again.status_code, again.json()["reports_added"]) == (200, 0)
    both = client.post(address, {"reports": [INSULT, THREAT]}, format="json")
    assert (both.json()["reports_added"], both.json()["report_count"]) == (1, 2)
    shown = with_key(ApiScope.ITEMS_READ).get(f"/api/v1/items/{item.pk}").json()
    assert [one["reporter"] for one in shown["reports"]] == ["r-1", "r-2"] and shown["report_count"] == 2


WRONG: list[tuple[Any, str, str]] = [
    ({}, "", "says nothing"),
    ([], "", "must be an object"),
    ({"reports": []}, "/reports", "at least one"),
    ({"reporter": {"id": 1}}, "/reporter", "must be text"),
    ({"reporter": "x" * 201}, "/reporter", "the limit is 200"),
    ({"reason": ["a"]}, "/reason", "must be an object"),
    ({"reported_at": "yesterday"}, "/reported_at", "Write a date"),
    ({"reporter": "a", "why": "b"}, "/why", "not a known field"),
    ({"reports": [INSULT, {"reported_at": 5}]}, "/reports/1/reported_at", "must be text"),
    ({"reports": [INSULT] * (MAX_REPORTS + 1)}, "/reports", "the limit is 100"),
    ({"reason": {"text": "x" * 300_000}}, "", "the limit is 262,144"),
    ({"reason": {"text": "a\x00b"}}, "/reason/text", "NUL"),
]


@pytest.mark.urls("annotation.api_urls")
@pytest.mark.parametrize(("body", "pointer", "words"), WRONG)
def test_a_report_that_cannot_be_taken_names_the_field(
    with_key: KeyedClient, body: Any, pointer: str, words: str
) -> None:
    item = make_item()
    answer = with_key(ApiScope.ITEMS_WRITE).post(f"/api/v1/items/{item.pk}/reports", body, format="json")
    error = json.loads(answer.content)["errors"][0]
    assert answer.status_code == 422
    assert error["pointer"] == pointer and words in error["detail"], error
    assert not Report.objects.exists()


@pytest.mark.urls("annotation.api_urls")
def test_reporting_takes_the_right_to_write_and_an_item_that_exists(with_key: KeyedClient) -> None:
    item = make_item()
    assert (
        with_key(ApiScope.ITEMS_READ).post(f"/api/v1/items/{item.pk}/reports", INSULT, format="json").status_code == 403
    )
    assert APIClient().post(f"/api/v1/items/{item.pk}/reports", INSULT, format="json").status_code == 401
    missing = with_key(ApiScope.ITEMS_WRITE).post(f"/api/v1/items/{item.pk + 1}/reports", INSULT, format="json")
    assert missing.status_code == 404


@pytest.mark.parametrize(
    ("reports", "pointer"),
    [
        ([INSULT] * (MAX_REPORTS + 1), "/reports"),
        ([INSULT, {"reporter": "a", "extra": 1}], "/reports/1/extra"),
        ([{"reporter": ""}], "/reports/0"),
        ("Insult.", "/reports"),
    ],
)
def test_reports_of_a_row_that_cannot_be_taken_name_the_field(reports: Any, pointer: str) -> None:
    result = send(reports=reports)
    assert [error.pointer for error in result.errors] == [pointer]
    assert not Item.objects.exists()


def test_a_reason_in_words_and_an_id_as_a_number_are_taken() -> None:
    send(reports=[{"reporter": 4711, "reason": "Insult."}])
    report = Report.objects.get()
    assert (report.reporter, report.reason) == ("4711", {"text": "Insult."})


def test_items_are_listed_by_the_number_of_reports_and_by_author(client: Client) -> None:
    author = Author.objects.create(source="test", external_id="u-17")
    alone, many = make_item(prompt="one report", report_count=1), make_item(prompt="seven reports", report_count=7)
    theirs = make_item(prompt="of the author", author=author)
    client.force_login(make_user(Role.LEAD))

    def listed(**filters: Any) -> set[int]:
        return {item.pk for item in client.get(reverse("items"), filters).context["page"].items}

    assert listed(reports=2) == {many.pk}
    assert "7 reports" in client.get(reverse("items")).text
    assert listed(reports=1) == {alone.pk, many.pk}
    assert listed(author="u-17") == {theirs.pk} and listed(author="u-17", source="elsewhere") == set()
    assert listed(author="nobody") == set()
    assert listed(reports="many") == {alone.pk, many.pk, theirs.pk}, "a page leaves out what it does not understand"


@pytest.mark.urls("annotation.api_urls")
def test_a_program_that_asks_for_a_wrong_number_of_reports_is_told(with_key: KeyedClient) -> None:
    client = with_key(ApiScope.ITEMS_READ)
    make_item(report_count=3)
    assert len(client.get("/api/v1/items?reports=3").json()["items"]) == 1
    assert client.get("/api/v1/items?reports=0").json()["errors"][0]["pointer"] == "/reports"
