"""The pages of policies, stale gold and appeals."""

import uuid

import pytest
from django.test import Client
from rest_framework.test import APIClient

from annotation.models import Appeal, GoldLabel, Item, PolicyVersion, User
from annotation.people.api_keys import create_key
from annotation.policies.publish import stale_gold
from annotation.review.assign import assign_next
from annotation.review.decision import Decision
from annotation.review.submit import submit_review
from annotation.status import ApiScope, ItemStatus, ReviewKind, Role
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_policy, default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
ACCEPT = Decision(kind=ReviewKind.ACCEPTED, prompt_label=Harmfulness.HARMFUL, categories=("S1",))


def signed_in(role: Role) -> tuple[Client, User]:
    client, user = Client(), make_user(role)
    client.force_login(user)
    return client, user


def settled() -> Item:
    item, person = make_item(), make_user()
    lease = assign_next(reviewer=person, queue=default_queue())
    assert lease is not None
    submit_review(reviewer=person, token=lease.token, idempotency_key=uuid.uuid4().hex, decision=ACCEPT)
    return Item.objects.get(pk=item.pk)


def change_of(version: PolicyVersion, **changed: str) -> dict[str, object]:
    rows = list(version.categories.all())
    return {
        "based_on": version.number,
        "change": "Clearer.",
        "text": "",
        "code": [row.code for row in rows],
        "name": [row.name for row in rows],
        "guidance": [changed.get(row.code, row.guidance) for row in rows],
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/policy/default/edit/"),
        ("post", "/policy/default/edit/"),
        ("get", "/policy/stale/"),
        ("post", "/policy/stale/decide/"),
        ("get", "/appeals/"),
        ("post", "/items/1/appeal/"),
    ],
)
def test_only_leads_change_policies_and_open_appeals(method: str, path: str) -> None:
    default_policy()
    client, _ = signed_in(Role.REVIEWER)
    assert getattr(client, method)(path).status_code == 403
    assert getattr(Client(), method)(path).status_code == 302


def test_a_lead_rewords_a_category_and_decides_on_what_became_stale() -> None:
    item, version = settled(), default_policy()
    client, _ = signed_in(Role.LEAD)
    assert client.get("/policy/default/edit/").status_code == 200
    answer = client.post("/policy/default/edit/", change_of(version, S1="Another text."))
    assert answer.status_code == 302 and answer["Location"] == "/policy/stale/"
    assert item.external_id in client.get("/policy/stale/").text
    assert "1 gold label is stale" in client.get("/policy/").text
    client.post("/policy/stale/decide/", {"gold": [stale_gold().get().pk], "act": "review"})
    assert Item.objects.get().status == ItemStatus.READY
    client.post("/policy/stale/decide/", {"gold": [stale_gold().get().pk], "act": "confirm"})
    assert not stale_gold().exists()


def test_a_policy_that_does_not_fit_comes_back_with_the_work_and_the_problem() -> None:
    version = default_policy()
    client, _ = signed_in(Role.LEAD)
    answer = client.post("/policy/default/edit/", change_of(version, S1="Kept words.") | {"change": " "})
    assert answer.status_code == 422
    assert "change: is missing" in answer.text and "Kept words." in answer.text
    assert PolicyVersion.objects.count() == 1


def test_a_lead_appeals_on_the_items_page_and_sees_it_in_the_list() -> None:
    item = settled()
    client, _ = signed_in(Role.LEAD)
    assert "Appeal this verdict" in client.get(f"/items/{item.pk}/").text
    client.post(f"/items/{item.pk}/appeal/", {"reason": "It is a quote."})
    assert "It is a quote." in client.get("/appeals/").text
    assert Appeal.objects.get().item == item


def test_a_program_appeals_for_its_user_once() -> None:
    item = settled()
    lead = make_user(Role.LEAD)
    key = create_key(owner=lead, name="platform", scopes=[ApiScope.ITEMS_WRITE], expires_at=None, actor=lead)
    api = APIClient(headers={"Authorization": f"Bearer {key.secret}"})
    body = {"reason": "It is a quote.", "appellant": "user 12"}
    assert api.post(f"/api/v1/items/{item.pk}/appeals", body, format="json").status_code == 201
    again = api.post(f"/api/v1/items/{item.pk}/appeals", body, format="json")
    assert (again.status_code, again.json()["type"]) == (409, "urn:guardapp:problem:appeal_open_already")
    assert api.post("/api/v1/items/999999/appeals", body, format="json").status_code == 404
    assert api.post(f"/api/v1/items/{item.pk}/appeals", {}, format="json").status_code == 422
    assert GoldLabel.objects.standing().count() == 1
