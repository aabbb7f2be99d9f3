"""Conditions, routing rules, the order of queues, and counts."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from annotation.items.move import move_items
from annotation.models import Author, Item, Prediction, QueueTally, ReviewQueue, RoutingRule
from annotation.queues.conditions import ConditionNotValid, Conditions
from annotation.queues.counts import renew_tallies, tally_is_enough
from annotation.queues.rules import enabled_rules, move_rule, place, preview, reroute_some, route_again, save_rule
from annotation.review.assign import assign_next
from annotation.status import Lane, QueueOrder, Role
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db


def queue_named(slug: str, **fields: Any) -> ReviewQueue:
    return ReviewQueue.objects.create(slug=slug, name=slug, **fields)


def shown(item: Item) -> Prediction:
    assert item.prediction is not None
    return item.prediction


CAUGHT: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"plain", "image", "severe", "none"}),
    ({"sources": ["test"]}, {"plain", "image", "severe", "none"}),
    ({"sources": ["elsewhere"]}, set()),
    ({"modalities": ["image", "video"]}, {"image"}),
    ({"languages": ["de"]}, {"image"}),
    ({"categories": ["S9", "S4"]}, {"severe"}),
    ({"labels": ["unharmful"]}, {"image"}),
    ({"versions": ["starter"]}, {"plain", "image", "severe"}),
    ({"score_from": 0.8}, {"severe"}),
    ({"score_to": 0.3}, {"image"}),
    ({"disagreement_from": 0.5}, {"plain"}),
    ({"severity_from": 3}, {"severe"}),
    ({"reports_from": 2}, {"severe"}),
    ({"authors": ["u-17", "u-18"]}, {"image"}),
    ({"labels": ["harmful"], "score_to": 0.9, "disagreement_from": 0.1}, {"plain"}),
]
CONDITIONS = [conditions for conditions, _ in CAUGHT]


@pytest.mark.parametrize(("conditions", "caught"), CAUGHT)
def test_a_condition_catches_the_same_items_in_memory_and_in_the_database(
    conditions: dict[str, Any], caught: set[str]
) -> None:
    items = {
        "plain": make_item(prediction={"prompt_score": 0.6, "disagreement": 0.5}),
        "image": make_item(
            modality="image",
            language="de",
            author=Author.objects.create(source="test", external_id="u-17"),
            prediction={"prompt_label": "unharmful", "categories": [], "prompt_score": 0.1},
        ),
        "severe": make_item(severity=3, report_count=2, prediction={"categories": ["S9"], "prompt_score": 0.95}),
        "none": make_item(predicted=False),
    }
    value = Conditions.of(conditions)
    assert {
        name
        for name, item in items.items()
        if value.catch(item, item.prediction, item.prediction.version.name if item.prediction else "")
    } == caught
    found = Item.objects.annotate(**value.annotations()).filter(value.as_query())
    assert set(found) == {items[name] for name in caught}
    assert Conditions.of(value.as_json()) == value


@pytest.mark.parametrize(
    ("conditions", "field"),
    [
        ({"sauces": ["x"]}, "sauces"),
        ({"modalities": ["smell"]}, "modalities"),
        ({"labels": "harmful"}, "labels"),
        ({"score_from": 1.2}, "score_from"),
        ({"score_to": "high"}, "score_to"),
        ({"severity_from": True}, "severity_from"),
        ({"score_from": float("nan")}, "score_from"),
    ],
)
def test_a_condition_that_is_not_known_names_its_field(conditions: dict[str, Any], field: str) -> None:
    with pytest.raises(ConditionNotValid) as error:
        Conditions.of(conditions)
    assert error.value.field == field


def test_the_first_rule_that_catches_an_item_places_it() -> None:
    grave, other, lead = queue_named("grave", reviews_per_item=2), queue_named("other"), make_user(Role.LEAD)
    save_rule(
        rule=RoutingRule(name="grave", conditions={"categories": ["S1"]}, queue=grave, lane=Lane.UNCERTAIN), by=lead
    )
    save_rule(rule=RoutingRule(name="all", conditions={}, queue=other), by=lead)
    item, harmless = make_item(), make_item(prediction={"categories": [], "prompt_label": "unharmful"})
    for one in (item, harmless):
        place(item=one, prediction=shown(one), version="starter", rules=enabled_rules())
    assert (item.queue, item.lane, item.free_slots, item.severity) == (grave, Lane.UNCERTAIN, 2, 2)
    assert harmless.queue == other
    first, second = enabled_rules()
    move_rule(rule=second.row, up=True)
    assert [rule.row.name for rule in enabled_rules()] == ["all", "grave"]
    move_rule(rule=second.row, up=True)  # at the top already
    assert [rule.row.name for rule in enabled_rules()] == ["all", "grave"]
    assert first.row.name == "grave"


def test_a_preview_says_what_conditions_would_catch() -> None:
    caught = make_item(prediction={"disagreement": 0.8})
    make_item(), make_item(predicted=False)
    found = preview(Conditions.of({"disagreement_from": 0.5}))
    assert (found.previewed, found.caught, list(found.examples)) == (2, 1, [caught])


@pytest.mark.parametrize(
    ("order", "first"),
    [(QueueOrder.DISAGREEMENT, "doubtful"), (QueueOrder.SEVERITY, "grave"), (QueueOrder.OLDEST, "old")],
)
def test_waiting_items_follow_a_new_order_of_their_queue(order: QueueOrder, first: str) -> None:
    queue = default_queue()
    now = timezone.now()
    items = {
        "doubtful": make_item(prediction={"disagreement": 1.0, "categories": [], "prompt_label": "unharmful"}),
        "grave": make_item(prediction={"categories": ["S9"], "prompt_score": 1.0}),
        "old": make_item(
            prediction={"prompt_label": "unharmful", "categories": [], "prompt_score": 0.0},
            reported_at=now - timedelta(days=9),
        ),
    }
    queue.order = order
    queue.save()
    route_again(queue)
    while reroute_some(limit=2):
        pass
    assignment = assign_next(reviewer=make_user(), queue=queue)
    assert assignment is not None and assignment.item == items[first]


def test_rerouting_leaves_what_somebody_holds() -> None:
    item, queue = make_item(), default_queue()
    assign_next(reviewer=make_user(), queue=queue)
    save_rule(rule=RoutingRule(name="all", conditions={}, queue=queue_named("other")), by=make_user(Role.LEAD))
    route_again(queue)
    while reroute_some():
        pass
    item.refresh_from_db()
    assert item.queue == queue
    assert move_items(item_ids=[item.pk], queue=queue_named("third"), by=make_user(Role.LEAD)) == 0


def test_a_lead_moves_waiting_items_by_hand() -> None:
    item, third = make_item(), queue_named("third", reviews_per_item=3)
    assert move_items(item_ids=[item.pk], queue=third, by=make_user(Role.LEAD)) == 1
    item.refresh_from_db()
    assert (item.queue, item.free_slots) == (third, 3)


def test_a_queue_serves_what_its_filters_let_through_and_nothing_while_closed() -> None:
    queue = default_queue(filters={"modalities": ["image"]})
    make_item(priority=9.0)
    image = make_item(modality="image")
    assignment = assign_next(reviewer=make_user(), queue=queue)
    assert assignment is not None and assignment.item == image
    make_item(modality="image")
    assert assign_next(reviewer=make_user(), queue=default_queue(open=False)) is None


def test_tallies_are_renewed_and_not_too_often() -> None:
    make_item(), make_item()
    assert renew_tallies()
    assert QueueTally.objects.get().items == 2
    make_item()
    assert not renew_tallies()
    assert renew_tallies(force=True)
    assert QueueTally.objects.get().items == 3
    assert not tally_is_enough()
