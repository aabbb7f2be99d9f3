"""An item that its sender takes back leaves every queue, politely, and keeps its history."""

import json
import uuid
from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.errors import ItemWithdrawn, LeaseExpired
from annotation.ingest.read_rows import read_row
from annotation.ingest.store_items import ingest_items
from annotation.ingest.values import OfWithdrawn
from annotation.items.bulk_decision import decide_many, undo_many
from annotation.items.withdraw import withdraw_item
from annotation.models import (
    Appeal,
    Assignment,
    Delivery,
    Draft,
    Event,
    GoldLabel,
    Item,
    Prediction,
    Review,
    User,
    Webhook,
)
from annotation.policies.publish import send_to_review
from annotation.predictions.claims import Failure, claim_pending, give_back, release_stale_claims
from annotation.predictions.predict import predict_pending
from annotation.predictions.selectors import inference_backlog
from annotation.queues.counts import queues_with_counts, renew_tallies
from annotation.review.appeals import open_appeal
from annotation.review.assign import assign_escalated, assign_next, take_again
from annotation.review.decision import Decision
from annotation.review.hidden_gold import draw_hidden_gold, make_hidden_gold
from annotation.review.leases import extend_lease
from annotation.review.submit import escalate, skip, submit_review
from annotation.review.undo import undo_last
from annotation.status import ApiScope, AppealState, AssignmentState, EventKind, ItemStatus, ReviewKind, Role
from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Decoding, Rollout, Sample
from tests.annotation.conftest import KeyedClient
from tests.annotation.scripted_engine import ScriptedEngine
from tests.factories import default_queue, make_item, make_user, production
from training.snapshots.create import SnapshotFilters, eligible_gold

pytestmark = [pytest.mark.django_db, pytest.mark.urls("guardapp.urls")]
HARMLESS = Decision(kind=ReviewKind.CORRECTED, prompt_label=Harmfulness.UNHARMFUL)


def key() -> str:
    return uuid.uuid4().hex


def held_by(person: User) -> Assignment:
    held = assign_next(reviewer=person, queue=default_queue())
    assert held is not None
    return held


def reviewed(person: User | None = None) -> Item:
    person = person or make_user()
    item = make_item()
    submit_review(reviewer=person, token=held_by(person).token, idempotency_key=key(), decision=HARMLESS)
    item.refresh_from_db()
    assert item.status == ItemStatus.REVIEWED
    return item


def status_of(item: Item) -> str:
    item.refresh_from_db()
    return item.status


@pytest.mark.parametrize(
    "status",
    [ItemStatus.PENDING, ItemStatus.READY, ItemStatus.ESCALATED, ItemStatus.PREDICTION_FAILED, ItemStatus.PREDICTING],
)
def test_it_leaves_every_queue_whatever_state_it_is_in(status: ItemStatus) -> None:
    lead, item = make_user(Role.LEAD), make_item(status=status)
    withdraw_item(item_id=item.pk, by=lead, reason="deleted by its author")
    assert status_of(item) == ItemStatus.WITHDRAWN and item.withdrawn_at is not None
    assert assign_next(reviewer=make_user(), queue=default_queue()) is None
    assert assign_escalated(lead=lead) is None
    assert claim_pending(limit=10).rows == ()
    assert inference_backlog().total == 0
    [counts] = [row for row in queues_with_counts(lead) if row.queue == default_queue()]
    assert (counts.ready, counts.coming, counts.escalated, counts.failed, counts.late) == (0, 0, 0, 0, 0)
    renew_tallies(force=True)


def test_a_worker_that_finishes_afterwards_changes_nothing() -> None:
    item, version = make_item(status=ItemStatus.PENDING, predicted=False), production()

    class WithdrawnMeanwhile(ScriptedEngine):
        def generate(self, samples: Sequence[Sample], decoding: Decoding) -> list[list[Rollout]]:
            withdraw_item(item_id=item.pk, by=None)
            return super().generate(samples, decoding)

    done = predict_pending(engine=WithdrawnMeanwhile(), version=version, limit=5)
    assert (done.count, done.failed) == (0, 0)
    assert status_of(item) == ItemStatus.WITHDRAWN and item.prediction is None
    assert not Prediction.objects.filter(item=item).exists()
    assert list(item.events.values_list("kind", flat=True)) == [EventKind.WITHDRAWN]


def test_a_worker_that_fails_or_dies_afterwards_changes_nothing() -> None:
    item = make_item(status=ItemStatus.PENDING, predicted=False)
    claim = claim_pending(limit=1)
    withdraw_item(item_id=item.pk, by=None)
    assert give_back(claim=claim, failures={item.pk: Failure("engine_error", "no")}) == 0
    Item.objects.filter(pk=item.pk).update(claimed_until=timezone.now() - timedelta(hours=1))
    release_stale_claims()
    assert status_of(item) == ItemStatus.WITHDRAWN


def test_a_lease_ends_politely_and_the_draft_is_kept() -> None:
    person, item, other = make_user(), make_item(), make_item()
    held = held_by(person)
    withdraw_item(item_id=held.item_id, by=None)
    with pytest.raises(ItemWithdrawn, match="sender has withdrawn"):
        extend_lease(reviewer=person, token=held.token)
    for act in (
        lambda: submit_review(reviewer=person, token=held.token, idempotency_key=key(), decision=HARMLESS),
        lambda: escalate(reviewer=person, token=held.token, reason="hm"),
        lambda: take_again(reviewer=person, token=held.token),
    ):
        with pytest.raises(ItemWithdrawn):
            act()
    assert Draft.objects.get(reviewer=person, item=held.item_id).payload["prompt_label"] == "unharmful"
    assert Review.objects.count() == 0
    assert held_by(person).item_id in {item.pk, other.pk} - {held.item_id}


def test_a_lease_that_only_ran_out_is_told_apart_from_a_withdrawn_item() -> None:
    person = make_user()
    make_item()
    held = held_by(person)
    Assignment.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    with pytest.raises(LeaseExpired) as caught:
        extend_lease(reviewer=person, token=held.token)
    assert not isinstance(caught.value, ItemWithdrawn)


def test_the_page_says_that_the_sender_withdrew_it_and_goes_on_to_the_next(client: Client) -> None:
    person = make_user()
    client.force_login(person)
    make_item(), make_item()
    held = held_by(person)
    withdraw_item(item_id=held.item_id, by=None)
    beat = client.post(reverse("heartbeat", args=[held.token]))
    assert beat.status_code == 409 and beat.json()["withdrawn"] is True
    form = {"prompt_label": "unharmful", "note": "half a thought", "idempotency_key": key(), "confirm_fast": "yes"}
    for name in ("submit", "retake"):
        said = client.post(reverse(name, args=[held.token]), form, headers={"HX-Request": "true"})
        assert said.status_code == 409 and "The sender has withdrawn this item" in said.text
        assert "Take the item again" not in said.text and "Go to the next item" in said.text
    assert Draft.objects.get(reviewer=person).payload["note"] == "half a thought"
    after = client.post(reverse("skip", args=[held.token]), form, headers={"HX-Request": "true"})
    assert after.status_code == 200 and "The sender has withdrawn this item" in after.text
    assert held_by(person).item_id != held.item_id


def test_its_history_says_who_took_it_back_and_why(client: Client, with_key: KeyedClient) -> None:
    item = reviewed()
    with_key(ApiScope.ITEMS_WRITE).post(f"/api/v1/items/{item.pk}/withdraw", {"reason": "Löschung"}, format="json")
    event = Event.objects.get(kind=EventKind.WITHDRAWN)
    assert event.actor is not None and event.detail["reason"] == "Löschung" and event.detail["was"] == "reviewed"
    assert event.detail["key"]
    client.force_login(make_user(Role.LEAD))
    page = client.get(reverse("item", args=[item.pk])).text
    assert "Löschung" in page and "nobody is asked to judge it" in page
    assert Review.objects.filter(item=item).count() == 1 and GoldLabel.objects.standing().filter(item=item).exists()


def test_sent_again_it_exists_and_stays_withdrawn() -> None:
    row = {"external_id": "a", "source": "forum", "prompt": "Hello?"}
    [made] = ingest_items(rows=[read_row(row)])
    assert made.id is not None
    withdraw_item(item_id=made.id, by=None)
    [again] = ingest_items(rows=[read_row(row)])
    assert (again.status, again.id, again) == ("exists", made.id, OfWithdrawn(0, again.status, made.id, "a"))
    assert Item.objects.get(pk=made.id).status == ItemStatus.WITHDRAWN


def test_a_decided_item_keeps_its_decision_and_leaves_training_hidden_gold_and_appeals() -> None:
    lead, item = make_user(Role.LEAD), reviewed()
    make_hidden_gold(item=item, by=lead)
    GoldLabel.objects.update(settled_at=timezone.now() - timedelta(hours=1), stale_at=timezone.now())
    assert eligible_gold(SnapshotFilters()).count() == 1
    withdraw_item(item_id=item.pk, by=lead)
    assert eligible_gold(SnapshotFilters()).count() == 0
    assert draw_hidden_gold(queue=default_queue(known_share=1.0), reviewer=make_user()) is None
    with pytest.raises(ItemWithdrawn):
        open_appeal(item=item, reason="wrong")
    assert send_to_review(gold_ids=[GoldLabel.objects.get().pk], by=lead) == 0
    assert status_of(item) == ItemStatus.WITHDRAWN


def test_an_open_appeal_is_closed_without_a_decision() -> None:
    item = reviewed()
    open_appeal(item=item, reason="wrong")
    withdraw_item(item_id=item.pk, by=None)
    appeal = Appeal.objects.get()
    assert (appeal.state, appeal.outcome) == (AppealState.WITHDRAWN, None) and appeal.closed_at is not None


def test_nothing_brings_it_back_into_a_queue() -> None:
    lead, person = make_user(Role.LEAD), make_user()
    item, other = reviewed(person), make_item()
    bulk = decide_many(by=lead, items=[other], prompt_label=Harmfulness.UNHARMFUL, idempotency_key=key())
    for one in (item, other):
        withdraw_item(item_id=one.pk, by=lead)
    with pytest.raises(ItemWithdrawn):
        undo_last(reviewer=person)
    assert list(undo_many(bulk=bulk, by=lead)) == [str(other.pk)]
    again = decide_many(by=lead, items=[item], prompt_label=Harmfulness.HARMFUL, idempotency_key=key())
    assert again.skipped == {str(item.pk): "its sender has withdrawn it"}
    assert {status_of(item), status_of(other)} == {ItemStatus.WITHDRAWN}


def test_a_skip_of_it_cannot_be_undone() -> None:
    person, item = make_user(), make_item()
    skip(reviewer=person, token=held_by(person).token)
    withdraw_item(item_id=item.pk, by=None)
    with pytest.raises(ItemWithdrawn):
        undo_last(reviewer=person)
    assert status_of(item) == ItemStatus.WITHDRAWN


def test_a_lease_ahead_and_one_on_hidden_gold_end_too() -> None:
    person, item = make_user(), reviewed()
    make_hidden_gold(item=item, by=make_user(Role.LEAD))
    default_queue(known_share=1.0)
    held = held_by(person)
    assert held.hidden_gold_id is not None
    withdraw_item(item_id=item.pk, by=None)
    held.refresh_from_db()
    assert held.state == AssignmentState.EXPIRED


def test_webhooks_are_told_with_the_reason_and_the_standing_decision() -> None:
    Webhook.objects.create(name="Platform", url="https://example.org", events=["item.withdrawn"])
    item = reviewed()
    withdraw_item(item_id=item.pk, by=None, reason="by its author")
    withdraw_item(item_id=item.pk, by=None)
    told = json.loads(json.dumps(Delivery.objects.get().payload))
    assert (told["item"], told["external_id"], told["reason"]) == (item.pk, item.external_id, "by its author")
    assert told["was"] == "reviewed" and told["decision"]["prompt_label"] == "unharmful"


def test_a_lead_withdraws_on_the_item_page_and_a_reviewer_may_not(client: Client) -> None:
    item = make_item()
    client.force_login(make_user())
    assert "item_withdraw" not in client.get(reverse("item", args=[item.pk])).text
    assert client.post(reverse("item_withdraw", args=[item.pk])).status_code == 403
    client.force_login(make_user(Role.LEAD))
    page = client.get(reverse("item", args=[item.pk])).text
    assert 'data-opens="withdraw"' in page and reverse("item_withdraw", args=[item.pk]) in page
    said = client.post(reverse("item_withdraw", args=[item.pk]), {"reason": "spam wave"}, follow=True).text
    assert "Withdrawn." in said and "spam wave" in said and 'data-opens="withdraw"' not in said
    assert item.external_id in client.get(reverse("items"), {"status": "withdrawn"}).text
