"""Every page of the product as a lead finds it, with something on each, and the list of them taken from the URL
resolver.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from django.test import Client
from django.urls import URLPattern, reverse
from django.utils import timezone

from annotation.items.bulk_decision import decide_many
from annotation.models import (
    Appeal,
    Delivery,
    GoldLabel,
    HiddenGold,
    Item,
    Policy,
    ReviewerGroup,
    ReviewQueue,
    RoutingRule,
    SavedFilter,
    User,
    Webhook,
)
from annotation.people.api_keys import create_key
from annotation.policies.publish import CategoryText, categories_of, publish_version
from annotation.predictions.fingerprints import store_fingerprints
from annotation.queues.counts import renew_tallies
from annotation.review.appeals import open_appeal
from annotation.review.assign import assign_next
from annotation.review.decision import Decision
from annotation.review.hidden_gold import make_hidden_gold
from annotation.review.submit import escalate, submit_review
from annotation.status import ApiScope, DeliveryState, ItemStatus, ReviewKind, Role, WebhookEvent
from annotation.urls import urlpatterns as annotation_pages
from guardapp.guard.taxonomy import Harmfulness
from tests.browser.scene import arabic_item, text_item, whole_scene
from tests.browser.scene_training import whole_training
from tests.browser.test_adjudication import dispute
from tests.factories import default_policy, default_queue, make_item, make_user, production
from tests.training.pages.test_benchmarks import benchmark, evaluated
from tests.training.pages.test_gate import RESULT, candidate_with
from training.models import Evaluation, RetrainSchedule
from training.status import Trigger
from training.urls import urlpatterns as training_pages

SPAM = (
    "Win a free phone today, just send your card number to this address and wait {} days for the parcel to come to you"
)
NO_PAGES = {
    "similar": "a part of the review page, fetched into its tab",
    "regenerate": "a part of the review page",
    "training:hazards": "a part of the run page",
    "training:rollouts": "a part of the run page",
    "login": "sends people who are signed in away; has a test of its own",
    "insight_csv": "a file",
    "export_download": "a file",
    "export_file": "a file",
    "export_files": "a part of the export page",
    "frame": "a picture",
    "asset": "a medium",
    "asset_copy": "a picture",
    "asset_frame": "a picture",
    "training:metrics_file": "a file",
    "training:metrics_csv": "a file",
    "training:chart_csv": "a file",
}


@dataclass(frozen=True, slots=True)
class Shown:
    name: str
    address: str
    part: str  # "review", "lead" or "training"


def settled(item: Item, by: User) -> Item:
    lease = assign_next(reviewer=by, queue=item.queue)
    assert lease is not None and lease.item_id == item.pk
    submit_review(
        reviewer=by,
        token=lease.token,
        idempotency_key=uuid.uuid4().hex,
        decision=Decision(
            kind=ReviewKind.CORRECTED,
            prompt_label=Harmfulness.UNHARMFUL,
            response_label=None,
            categories=(),
            confidence=3,
            note="It is a quote from a play.",
        ),
    )
    return Item.objects.get(pk=item.pk)


def everything(lead: User) -> dict[str, object]:
    """Values for the arguments of every address."""
    queue, other = default_queue(name="Community reports"), make_user()
    default_policy()
    side = ReviewQueue.objects.create(slug="side", name="Second looks")
    settled_items = [
        settled(make_item(prompt=f"What does scene {number} of the play say?", queue=side), other)
        for number in range(3)
    ]
    open_appeal(item=settled_items[0], reason="It is a quote.", appellant="user 12", opened_by=lead)
    make_hidden_gold(item=settled_items[1], by=lead, note="A quote harms nobody.")
    lease = assign_next(reviewer=other, queue=_one(side, "May I quote a threat?"))
    assert lease is not None
    escalate(reviewer=other, token=lease.token, reason="What does the policy say about irony?")
    quarrel = ReviewQueue.objects.create(slug="quarrel", name="Two readings", reviews_per_item=2)
    disputed = text_item(queue=quarrel)
    dispute(disputed)
    training = _training(lead)
    spam = [make_item(prompt=SPAM.format(number), queue=queue) for number in range(6)]
    store_fingerprints([item.prediction for item in spam if item.prediction is not None])
    bulk = decide_many(
        by=lead, items=spam[:2], prompt_label=Harmfulness.UNHARMFUL, note="Spam.", like=spam[0], idempotency_key="bulk"
    )
    GoldLabel.objects.filter(item=settled_items[2]).update(categories=["S1"])
    _reword(lead)
    scene = whole_scene(queue)
    arabic_item(queue=queue)
    make_item(
        status=ItemStatus.PREDICTION_FAILED,
        predicted=False,
        error_code="media_corrupt",
        error_message="The video ends in the middle of a frame. Send the whole file again.",
    )
    rule = RoutingRule.objects.create(
        name="Fraud", conditions={"categories": ["S2"], "score_from": 0.5}, queue=side, created_by=lead
    )
    group = ReviewerGroup.objects.create(name="Night shift")
    group.members.add(other)
    create_key(owner=lead, name="platform", scopes=[ApiScope.ITEMS_WRITE])
    hook = _webhook(lead)
    renew_tallies(force=True)
    assert Appeal.objects.exists() and HiddenGold.objects.exists()
    return {
        "slug": queue.slug,
        "policy_edit slug": "default",
        "item_id": scene[1].pk,
        "bulk item_id": spam[2].pk,
        "training:lineage_item item_id": training.pop("item_id"),
        "bulk_id": bulk.pk,
        "rule_id": rule.pk,
        "group_id": group.pk,
        "review_dispute item_id": disputed.pk,
        "webhook_id": hook.pk,
        "delivery_id": 0,
        "filter_id": SavedFilter.objects.create(owner=lead, name="Fraud", query="category=S2").pk,
        "prefix": "none",
        "token": uuid.uuid4(),
        "review_id": 0,
        **training,
    }


# modules of annotation.pages whose pages every reviewer opens
REVIEWERS_PAGES = {"review", "home", "items", "account", "keymap", "near_copies"}


def pages(values: dict[str, object], lead: User) -> list[Shown]:
    """Every address of both resolvers that a GET answers with HTML. Fails on one that answers otherwise without being
    known for it.
    """
    client = Client()
    client.force_login(lead)
    found = []
    for name, part, pattern in _patterns():
        if name in NO_PAGES:
            continue
        arguments = {
            key: values[f"{name} {key}"] if f"{name} {key}" in values else values[key]
            for key in pattern.pattern.converters
        }
        address = reverse(name, kwargs=arguments)
        answer = client.get(address)
        if answer.status_code == 405 or not answer["Content-Type"].startswith("text/html"):
            continue
        assert answer.status_code == 200, (
            f"{name} at {address} answers {answer.status_code}: give it a row in scene_pages.everything"
        )
        found.append(Shown(name, address, part))
    return found


def _patterns() -> Iterator[tuple[str, str, URLPattern]]:
    for pattern in annotation_pages:
        modules = set(pattern.callback.__module__.split("."))
        yield str(pattern.name), "review" if modules & REVIEWERS_PAGES else "lead", pattern
    for pattern in training_pages:
        yield f"training:{pattern.name}", "training", pattern


def _one(queue: ReviewQueue, prompt: str) -> ReviewQueue:
    make_item(prompt=prompt, queue=queue, priority=99.0)
    return queue


def _webhook(lead: User) -> Webhook:
    """With a message that was taken and one that never was."""
    hook = Webhook.objects.create(
        name="Platform", url="https://platform.example/guard", events=[WebhookEvent.DECIDED], created_by=lead
    )
    for state, code, error in (
        (DeliveryState.DELIVERED, 204, ""),
        (DeliveryState.FAILED, 503, "It answered 503: down for maintenance"),
    ):
        Delivery.objects.create(
            webhook=hook,
            event=WebhookEvent.DECIDED,
            payload={"item": 1},
            state=state,
            attempts=1,
            status_code=code,
            error=error,
            ended_at=timezone.now(),
        )
    return hook


def _reword(lead: User) -> None:
    policy = Policy.objects.get(slug="default")
    version = policy.versions.latest("number")
    reworded = [
        CategoryText(row.code, row.name, f"{row.guidance} Quotes are no case of it.") if row.code == "S1" else row
        for row in categories_of(version)
    ]
    publish_version(
        policy=policy,
        text=version.text,
        categories=reworded,
        change="Quotes are free.",
        by=lead,
        based_on=version.number,
    )


def _training(lead: User) -> dict[str, object]:
    runs = whole_training(lead)
    snapshot = runs["grpo"].snapshot
    version = candidate_with(snapshot, wrong=2, production_wrong=1)
    Evaluation.objects.filter(snapshot=snapshot).update(result=RESULT)
    type(version).objects.filter(pk=version.pk).update(shadow_share=0.25)
    board = benchmark(lead, "quotes", "hhuu")
    evaluated(version, board, "hhuu", "hhuh")
    evaluated(production(), board, "hhuu", "hhhh")
    schedule = RetrainSchedule.objects.create(
        name="nightly", trigger=Trigger.CRON, cron="0 3 * * *", recipe="starter-sft", created_by=lead
    )
    gold = GoldLabel.objects.filter(item__queue=default_queue())
    Item.objects.filter(pk__in=gold.values("item")).update(status=ItemStatus.REVIEWED, free_slots=0)
    return {
        "run_id": runs["grpo"].pk,
        "snapshot_id": snapshot.pk,
        "version_id": version.pk,
        "schedule_id": schedule.pk,
        "item_id": snapshot.rows.order_by("id")[0].gold.item_id,
        "chart": "loss",
    }


def make_lead() -> User:
    lead = make_user(Role.ADMIN)
    lead.username = "lena"
    lead.save()
    return lead
