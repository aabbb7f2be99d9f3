"""The API: what it answers, and whom."""

import uuid
from typing import Any

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpRequest
from openapi_spec_validator import validate
from pytest_django import DjangoAssertNumQueries
from rest_framework.exceptions import Throttled
from rest_framework.test import APIClient

from annotation import doorbell
from annotation.api import items
from annotation.models import Item
from annotation.status import ApiScope, ItemStatus, Role
from annotation.web.problems import problem_of, problem_response
from tests.annotation.conftest import KeyedClient
from tests.factories import default_queue, make_item, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.urls("annotation.api_urls")]
TOKEN = uuid.UUID(int=7)
ROW = {"external_id": "a", "source": "test", "prompt": "How do I bake bread?"}

# every operation, and the scope that it needs
OPERATIONS = [
    ("POST", "/api/v1/items", ApiScope.ITEMS_WRITE),
    ("GET", "/api/v1/items", ApiScope.ITEMS_READ),
    ("GET", "/api/v1/items/1", ApiScope.ITEMS_READ),
    ("GET", "/api/v1/export", ApiScope.EXPORT),
    ("GET", "/api/v1/export/summary", ApiScope.EXPORT),
    ("POST", "/api/v1/queues/default/next", ApiScope.REVIEWS_WRITE),
    ("POST", f"/api/v1/assignments/{TOKEN}/submit", ApiScope.REVIEWS_WRITE),
    ("POST", f"/api/v1/assignments/{TOKEN}/reveal", ApiScope.REVIEWS_WRITE),
    ("POST", f"/api/v1/assignments/{TOKEN}/skip", ApiScope.REVIEWS_WRITE),
    ("POST", f"/api/v1/assignments/{TOKEN}/escalate", ApiScope.REVIEWS_WRITE),
    ("POST", f"/api/v1/assignments/{TOKEN}/heartbeat", ApiScope.REVIEWS_WRITE),
    ("PUT", f"/api/v1/assignments/{TOKEN}/draft", ApiScope.REVIEWS_WRITE),
    ("POST", "/api/v1/reviews/1/undo", ApiScope.REVIEWS_WRITE),
    ("POST", "/v1/moderations", ApiScope.MODERATE),
    ("POST", "/api/v1/moderate", ApiScope.MODERATE),
    ("POST", "/api/v1/moderate/stream", ApiScope.MODERATE),
]


@pytest.mark.parametrize(("method", "path", "scope"), OPERATIONS)
def test_every_operation_needs_a_key_with_its_scope(
    with_key: KeyedClient, method: str, path: str, scope: ApiScope
) -> None:
    anonymous = APIClient().generic(method, path)
    assert (anonymous.status_code, anonymous["Content-Type"]) == (401, "application/problem+json")
    others = [other for other in ApiScope if other is not scope]
    refused = with_key(*others).generic(method, path)
    assert (refused.status_code, refused["Content-Type"]) == (403, "application/problem+json")
    assert scope.value in refused.json()["detail"]
    assert with_key(scope).generic(method, path).status_code not in (401, 403, 500)


@pytest.mark.parametrize(("method", "path", "scope"), OPERATIONS)
def test_a_session_may_do_what_the_person_may(with_key: KeyedClient, method: str, path: str, scope: ApiScope) -> None:
    reviewer, lead = APIClient(), APIClient()
    reviewer.force_login(make_user(Role.REVIEWER))
    lead.force_login(make_user(Role.LEAD))
    assert (reviewer.generic(method, path).status_code == 403) == (scope is not ApiScope.REVIEWS_WRITE)
    assert lead.generic(method, path).status_code not in (401, 403, 500)


def test_a_session_needs_the_csrf_token_to_write() -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(make_user(Role.LEAD))
    assert client.post("/api/v1/items", ROW, format="json").status_code == 403


@pytest.mark.parametrize("body", [ROW, [ROW], {"items": [ROW]}])
def test_one_row_a_list_and_a_wrapped_list_are_taken(sender: APIClient, broker: list[str], body: Any) -> None:
    answer = sender.post("/api/v1/items", body, format="json")
    assert answer.status_code == 202
    [result] = answer.json()["results"]
    assert result == {
        "index": 0,
        "status": "created",
        "id": Item.objects.get().pk,
        "external_id": "a",
        "errors": [],
        "reports_added": 0,
        "reopened": False,
    }
    assert Item.objects.get().ingested_by is not None


@pytest.mark.django_db(transaction=True)
def test_the_guard_is_rung_once_for_a_batch_with_new_items(sender: APIClient, broker: list[str]) -> None:
    for _ in range(2):
        sender.post("/api/v1/items", [ROW], format="json")
    assert broker == ["annotation.tasks.predict"]


def test_a_dead_broker_does_not_fail_ingestion(sender: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "ring", doorbell.ring)  # no broker listens on the test's socket
    assert sender.post("/api/v1/items", [ROW], format="json").status_code == 202


def test_rows_and_files_come_in_one_multipart_body(sender: APIClient, png: bytes) -> None:
    rows = [
        {"external_id": "one", "media": ["a.png"], "modality": "image"},
        {"external_id": "two", "prompt": "Two", "media": ["a.png"]},
    ]
    answer = sender.post(
        "/api/v1/items",
        {"items": orjson.dumps(rows).decode(), "a.png": SimpleUploadedFile("a.png", png)},
        format="multipart",
    )
    assert answer.json()["created"] == 2
    assert list(Item.objects.order_by("pk").values_list("modality", flat=True)) == ["image", "text-image"]


def test_rows_that_name_no_source_or_queue_take_those_of_the_address(sender: APIClient) -> None:
    default_queue()
    sender.post("/api/v1/items?source=forum", {"external_id": "a", "prompt": "x"}, format="json")
    assert Item.objects.get().source == "forum"
    assert sender.post("/api/v1/items?queue=none", ROW, format="json").status_code == 404


def test_a_batch_costs_a_fixed_number_of_queries(
    sender: APIClient, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    rows = [{**ROW, "external_id": f"{number}"} for number in range(40)]
    with django_assert_max_num_queries(14):
        sender.post("/api/v1/items", rows, format="json")


def test_an_item_is_shown_with_its_prediction_reviews_and_gold(sender: APIClient, with_key: KeyedClient) -> None:
    item = make_item()
    reviewer = with_key(ApiScope.REVIEWS_WRITE)
    token = reviewer.post("/api/v1/queues/default/next").json()["token"]
    reviewer.post(
        f"/api/v1/assignments/{token}/submit",
        {"kind": "corrected", "prompt_label": "unharmful"},
        format="json",
        headers={"Idempotency-Key": "a-key-of-its-own"},
    )
    shown = sender.get(f"/api/v1/items/{item.pk}").json()
    assert (shown["status"], shown["prediction"]["prompt_label"], shown["gold"]["prompt_label"]) == (
        "reviewed",
        "harmful",
        "unharmful",
    )
    assert shown["gold"]["hard"] == ["prompt"]
    [review] = shown["reviews"]
    assert review["reviewer_pseudonym"].startswith("reviewer-")


def test_an_item_that_is_not_there_is_a_404(sender: APIClient) -> None:
    assert sender.get(f"/api/v1/items/{10**30}").status_code == 404
    assert sender.get("/api/v1/items/999").json()["detail"] == "There is no item 999."


def test_pages_of_items_lose_and_repeat_nothing(sender: APIClient) -> None:
    made = [make_item(status=ItemStatus.PENDING).pk for _ in range(5)]
    make_item(status=ItemStatus.READY)
    seen: list[int] = []
    cursor = ""
    asked = {"status": "pending", "source": "test", "limit": "2"}
    while True:
        page = sender.get("/api/v1/items", asked | {"cursor": cursor}).json()
        seen += [row["id"] for row in page["items"]]
        make_item(status=ItemStatus.PENDING)  # comes in meanwhile
        if page["next"] is None:
            break
        cursor = page["next"]
    assert seen == made[::-1]


def test_a_program_narrows_items_as_a_page_does(sender: APIClient) -> None:
    gun = make_item(prompt="Where do I buy a gun?", language="en", prediction={"categories": ["S9"]})
    make_item(prompt="Where do I buy bread?")
    for asked in (
        {"q": "gun"},
        {"q": gun.external_id},
        {"text": "buy gun"},
        {"language": "en"},
        {"category": "S9", "label": "harmful"},
    ):
        assert [row["id"] for row in sender.get("/api/v1/items", asked).json()["items"]] == [gun.pk]
    assert not sender.get("/api/v1/items", {"source": "tes"}).json()["items"]


@pytest.mark.parametrize(
    "query",
    [
        {"lane": "fast"},
        {"since": "yesterday"},
        {"status": "lost"},
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "x"},
        {"cursor": "x"},
        {"cursor": "YQ"},
        {"source": "a\x00"},
        {"queue": "x" * 101},
    ],
)
def test_a_page_that_cannot_be_is_a_problem(sender: APIClient, query: dict[str, str]) -> None:
    answer = sender.get("/api/v1/items", query)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{next(iter(query))}")


@pytest.mark.urls("guardapp.urls")
def test_an_unknown_address_and_method_are_problems(sender: APIClient) -> None:
    for answer, status in ((APIClient().get("/api/v1/nothing"), 404), (sender.delete("/api/v1/items"), 405)):
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")


def test_an_unforeseen_error_is_logged_and_kept_from_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    problem = problem_of(RuntimeError("a secret"))
    assert (problem.status, "secret" in problem.detail) == (500, False)
    assert "Unforeseen error" in caplog.text


def test_a_throttled_caller_gets_the_time_to_come_back() -> None:
    answer = problem_response(Throttled(wait=7), {"request": HttpRequest()})
    assert (answer.status_code, answer["Retry-After"]) == (429, "7")


@pytest.mark.urls("guardapp.urls")
def test_the_openapi_document_is_valid_3_1_and_was_made_without_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    answer = APIClient().get("/api/v1/schema", headers={"Accept": "application/vnd.oai.openapi+json"})
    document = orjson.loads(answer.content)
    validate(document)
    assert document["openapi"].startswith("3.1")
    assert {"/api/v1/items", "/api/v1/export", "/api/v1/queues/{slug}/next"} <= set(document["paths"])
    assert "Warning" not in capsys.readouterr().err


def test_the_document_can_be_browsed_without_inline_script() -> None:
    page = APIClient().get("/api/docs")
    text = page.content.decode()
    assert page.status_code == 200
    assert "<script>" not in text
    assert "'unsafe-inline'" not in page["Content-Security-Policy"].split("style-src")[0]
    script = APIClient().get("/api/docs?script=")
    assert "/api/v1/schema" in script.content.decode()
