"""A queue can demand a category, a severity or a reason of a decision that finds harm, whichever way it comes."""

import itertools
import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from annotation.errors import DecisionNotValid
from annotation.items.bulk_decision import decide_many
from annotation.models import Assignment, BulkDecision, Draft, Item, Review, ReviewQueue, User
from annotation.people.api_keys import create_key
from annotation.review.adjudication import adjudicate
from annotation.review.assign import assign_escalated, assign_next
from annotation.review.decision import Decision, missing_demands
from annotation.review.submit import submit_review
from annotation.status import ApiScope, Demand, ReviewKind, Role
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_policy, default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
HARMFUL, UNHARMFUL = Harmfulness.HARMFUL, Harmfulness.UNHARMFUL
FIELD = {Demand.CATEGORY: "categories", Demand.SEVERITY: "severity", Demand.REASON: "reason"}
GIVEN: dict[str, Any] = {"categories": ("S1",), "severity": 2, "reason": "It names a victim."}
EMPTY: dict[Demand, Any] = {Demand.CATEGORY: (), Demand.SEVERITY: None, Demand.REASON: " "}
ONE = pytest.mark.parametrize("demand", list(Demand))


def held(reviewer: User, **demands: Any) -> Assignment:
    assignment = assign_next(reviewer=reviewer, queue=default_queue(**demands))
    assert assignment is not None
    return assignment


def decision(label: Harmfulness = HARMFUL, **fields: Any) -> Decision:
    return Decision(ReviewKind.CORRECTED, label, **fields)


def submitted(reviewer: User, assignment: Assignment, made: Decision) -> Review:
    return submit_review(reviewer=reviewer, token=assignment.token, idempotency_key=uuid.uuid4().hex, decision=made)


@pytest.mark.parametrize("demands", [c for n in range(4) for c in itertools.combinations(Demand, n)])
def test_what_is_missing_is_named_and_nothing_else(demands: tuple[Demand, ...]) -> None:
    wanted = [FIELD[demand] for demand in demands]
    assert [error.field for error in missing_demands(decision(), demands)] == wanted
    assert missing_demands(decision(UNHARMFUL), demands) == []
    assert missing_demands(decision(**GIVEN), demands) == []
    # harm in the response alone is harm
    assert [error.field for error in missing_demands(decision(UNHARMFUL, response_label=HARMFUL), demands)] == wanted


@ONE
def test_a_harmful_verdict_without_it_is_refused_and_with_it_taken(demand: Demand) -> None:
    make_item(response="No.")
    reviewer = make_user()
    assignment = held(reviewer, demands=[demand])
    for made in (
        decision(response_label=UNHARMFUL),
        decision(UNHARMFUL, response_label=HARMFUL),
        Decision(ReviewKind.ACCEPTED, HARMFUL, UNHARMFUL),
        decision(response_label=UNHARMFUL, **GIVEN | {FIELD[demand]: EMPTY[demand]}),
    ):
        with pytest.raises(DecisionNotValid) as refused:
            submitted(reviewer, assignment, made)
        assert refused.value.field == FIELD[demand] and "this queue demands" in refused.value.message
    assert not Review.objects.exists()
    submitted(reviewer, assignment, decision(response_label=UNHARMFUL, **{FIELD[demand]: GIVEN[FIELD[demand]]}))


def test_severity_none_is_a_severity_and_an_unharmful_verdict_needs_nothing() -> None:
    reviewer = make_user()
    make_item()
    submitted(reviewer, held(reviewer, demands=[Demand.SEVERITY]), decision(severity=0))
    make_item()
    submitted(reviewer, held(reviewer, demands=list(Demand)), decision(UNHARMFUL))
    assert Review.objects.count() == 2


def test_the_queue_of_the_lease_decides_where_the_item_was_moved_meanwhile() -> None:
    item, reviewer = make_item(), make_user()
    assignment = held(reviewer, demands=[Demand.REASON])
    Item.objects.filter(pk=item.pk).update(queue=ReviewQueue.objects.create(slug="other", name="Other"))
    with pytest.raises(DecisionNotValid, match="reason"):
        submitted(reviewer, assignment, decision())


def test_the_page_names_all_that_is_missing_keeps_the_work_and_marks_the_fields(client: Client) -> None:
    make_item()
    reviewer = make_user()
    client.force_login(reviewer)
    assignment = held(reviewer, demands=list(Demand))
    page = client.get(reverse("review", args=["default"])).content.decode()
    assert page.count("needed if harmful") == 3
    fields = {"idempotency_key": uuid.uuid4().hex, "prompt_label": "harmful", "note": "Mine.", "confirm_fast": "yes"}
    for headers in ({"HX-Request": "true"}, {}):
        answer = client.post(reverse("submit", args=[assignment.token]), fields, headers=headers)
        said = answer.content.decode()
        assert answer.status_code == 422
        for words in ("Categories must name one", "Severity is missing", "Reason is missing"):
            assert words in said
    assert Draft.objects.get().payload["note"] == "Mine."
    more = {"categories": "S1", "severity": "1", "reason": "Because."}
    assert client.post(reverse("submit", args=[assignment.token]), fields | more).status_code == 302
    review = Review.objects.get()
    assert (review.categories, review.severity, review.reason) == (["S1"], 1, "Because.")


def test_a_queue_without_demands_marks_nothing_and_asks_for_nothing(client: Client) -> None:
    make_item()
    reviewer = make_user()
    client.force_login(reviewer)
    assignment = held(reviewer)
    assert "needed if harmful" not in client.get(reverse("review", args=["default"])).content.decode()
    fields = {"idempotency_key": uuid.uuid4().hex, "prompt_label": "harmful"}
    assert client.post(reverse("submit", args=[assignment.token]), fields).status_code == 302


def test_the_first_verdict_before_the_reveal_needs_its_labels_alone(client: Client) -> None:
    make_item()
    reviewer = make_user()
    client.force_login(reviewer)
    assignment = held(reviewer, mode="decide_first", demands=list(Demand))
    fields = {"idempotency_key": uuid.uuid4().hex, "prompt_label": "harmful"}
    assert client.post(reverse("reveal", args=[assignment.token]), fields).status_code == 302
    assignment.refresh_from_db()
    assert assignment.first_prompt_label == "harmful"


@ONE
def test_the_api_says_what_is_demanded_and_points_at_the_field(demand: Demand) -> None:
    make_item()
    default_queue(demands=[demand])
    key = create_key(owner=make_user(), name="k", scopes=[ApiScope.REVIEWS_WRITE])
    api = APIClient(headers={"Authorization": f"Bearer {key.secret}"})
    lease = api.post("/api/v1/queues/default/next").json()
    assert lease["demands"] == [demand]
    where, headers = f"/api/v1/assignments/{lease['token']}/submit", {"Idempotency-Key": uuid.uuid4().hex}
    body: dict[str, Any] = {"kind": "corrected", "prompt_label": "harmful"}
    refused = api.post(where, body, format="json", headers=headers)
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == [f"/{FIELD[demand]}"]
    body[FIELD[demand]] = GIVEN[FIELD[demand]]
    assert api.post(where, body, format="json", headers=headers).status_code == 201


@ONE
def test_a_bulk_decision_meets_the_demands_of_every_queue_in_it(demand: Demand, client: Client) -> None:
    strict = ReviewQueue.objects.create(slug="strict", name="Strict", demands=[demand])
    items, lead = [make_item(), make_item(queue=strict)], make_user(Role.LEAD)
    arguments: dict[str, Any] = {"by": lead, "items": items, "prompt_label": HARMFUL, "idempotency_key": "12345678"}
    with pytest.raises(DecisionNotValid) as refused:
        decide_many(**arguments)
    assert refused.value.field == FIELD[demand]
    assert not BulkDecision.objects.exists() and not Review.objects.exists()
    client.force_login(lead)
    chosen = [item.pk for item in items]
    fields: dict[str, Any] = {"item": chosen, "idempotency_key": "k" * 12, "prompt_label": "harmful"}
    page = client.post(reverse("items_decide"), fields)
    assert page.status_code == 422 and "this queue demands" in page.content.decode()
    assert page.content.decode().count("needed if harmful") == 1
    given = GIVEN[FIELD[demand]]
    assert client.post(reverse("items_decide"), fields | {FIELD[demand]: given}).status_code == 302
    stored = list(Review.objects.values_list(FIELD[demand], flat=True))
    assert stored == [list(given) if demand == Demand.CATEGORY else given] * 2


def test_an_adjudication_is_held_to_them_and_gives_the_severity_that_a_side_lacks(client: Client) -> None:
    item = make_item(queue=default_queue(reviews_per_item=2))
    one, other = make_user(), make_user()
    side = submitted(one, held(one), decision())
    submitted(other, held(other), decision(UNHARMFUL))
    lead = make_user(Role.LEAD)
    default_queue(demands=[Demand.SEVERITY])
    assignment = assign_escalated(lead=lead)
    assert assignment is not None and assignment.item_id == item.pk
    with pytest.raises(DecisionNotValid, match="severity"):
        adjudicate(lead=lead, token=assignment.token, idempotency_key="12345678", decision=decision(reason="Mine."))
    client.force_login(lead)
    where = reverse("submit", args=[assignment.token])
    fields = {"idempotency_key": uuid.uuid4().hex, "take": f"side-{side.pk}", "reason": "They are right."}
    assert "Severity is missing" in client.post(where, fields).content.decode()
    assert client.post(where, fields | {"severity": "3"}).status_code == 302
    settled = Review.objects.get(reviewer=lead)
    assert (settled.severity, settled.upholds, settled.prompt_label) == (3, side, "harmful")


def test_a_lead_sets_the_demands_on_the_queues_form(client: Client) -> None:
    default_policy()
    queue = default_queue()
    client.force_login(make_user(Role.LEAD))
    where = reverse("queue", args=[queue.slug])
    page = client.get(where)
    assert "A harmful verdict needs" in page.content.decode()
    shown = {field.html_name: field.value() for field in page.context["form"]}
    fields = {name: value for name, value in shown.items() if value is not None and value is not False}
    assert client.post(where, fields | {"demands": ["category", "severity"]}).status_code == 302
    queue.refresh_from_db()
    assert queue.demands == ["category", "severity"]
    assert client.post(where, fields | {"demands": ["a poem"]}).status_code == 422
    assert client.post(where, fields).status_code == 302
    queue.refresh_from_db()
    assert queue.demands == []
