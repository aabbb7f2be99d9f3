"""Programs that take their items back: by DELETE, by POST, and many by the ids of their source."""

import uuid

import pytest

from annotation.items.withdraw import withdraw_item
from annotation.models import Event, Item
from annotation.status import ApiScope, EventKind, ItemStatus
from tests.annotation.conftest import KeyedClient
from tests.factories import make_item

pytestmark = [pytest.mark.django_db, pytest.mark.urls("guardapp.urls")]


def key() -> str:
    return uuid.uuid4().hex


def status_of(item: Item) -> str:
    item.refresh_from_db()
    return item.status


@pytest.mark.parametrize("method", ["delete", "post"])
def test_a_program_withdraws_by_delete_and_by_post_and_twice_is_once(with_key: KeyedClient, method: str) -> None:
    item, sender = make_item(), with_key(ApiScope.ITEMS_WRITE)
    path = f"/api/v1/items/{item.pk}" + ("/withdraw" if method == "post" else "")
    first = getattr(sender, method)(path, {"reason": "gone"}, format="json")
    again = getattr(sender, method)(path)
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert first.json()["status"] == "withdrawn" and first.json()["reason"] == "gone"
    assert Event.objects.filter(kind=EventKind.WITHDRAWN).count() == 1


def test_a_key_needs_the_scope_of_sending_and_an_unknown_item_is_not_found(with_key: KeyedClient) -> None:
    item = make_item()
    for scope in (ApiScope.ITEMS_READ, ApiScope.REVIEWS_WRITE, ApiScope.EXPORT):
        assert with_key(scope).delete(f"/api/v1/items/{item.pk}").status_code == 403
        assert with_key(scope).post(f"/api/v1/items/{item.pk}/withdraw").status_code == 403
        assert with_key(scope).post("/api/v1/items/withdraw", {}, format="json").status_code == 403
    assert status_of(item) == ItemStatus.READY
    sender = with_key(ApiScope.ITEMS_WRITE)
    assert sender.delete("/api/v1/items/999999").status_code == 404
    long = sender.post(f"/api/v1/items/{item.pk}/withdraw", {"reason": "x" * 1001}, format="json")
    assert long.status_code == 422 and long.json()["errors"][0]["pointer"] == "/reason"


def test_many_are_withdrawn_by_the_ids_of_their_source(with_key: KeyedClient) -> None:
    first, second = make_item(), make_item()
    withdraw_item(item_id=second.pk, by=None)
    rows = [
        {"source": first.source, "external_id": first.external_id},
        {"source": second.source, "external_id": second.external_id},
        {"source": "elsewhere", "external_id": first.external_id},
        {"source": first.source, "external_id": first.external_id},
    ]
    said = with_key(ApiScope.ITEMS_WRITE).post("/api/v1/items/withdraw", {"items": rows}, format="json")
    assert said.status_code == 200
    assert [row["result"] for row in said.json()["results"]] == ["withdrawn", "already", "unknown", "withdrawn"]
    assert status_of(first) == ItemStatus.WITHDRAWN
    bad = with_key(ApiScope.ITEMS_WRITE).post("/api/v1/items/withdraw", {"items": [{"source": "a"}]}, format="json")
    assert bad.status_code == 422 and bad.json()["errors"][0]["pointer"] == "/items/0/external_id"


def test_the_review_api_answers_with_a_clear_problem(with_key: KeyedClient) -> None:
    make_item()
    reviewer = with_key(ApiScope.REVIEWS_WRITE)
    held = reviewer.post("/api/v1/queues/default/next").json()
    withdraw_item(item_id=held["item"]["id"], by=None)
    for path, body in (("heartbeat", {}), ("submit", {"kind": "corrected", "prompt_label": "unharmful"}), ("skip", {})):
        said = reviewer.post(
            f"/api/v1/assignments/{held['token']}/{path}", body, format="json", headers={"Idempotency-Key": key()}
        )
        assert said.status_code == 409 and said.json()["type"] == "urn:guardapp:problem:item_withdrawn"
