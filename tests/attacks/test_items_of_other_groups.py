"""A reviewer outside of a queue's groups learns nothing of its items, at any address of the product."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from annotation.models import (
    Assignment,
    Event,
    ReviewRetraction,
)
from annotation.people.api_keys import create_key
from annotation.status import ApiScope, AssignmentState
from tests.attacks.circle import SECRET, Circle, signed_in

pytestmark = pytest.mark.django_db

BEGINNING = SECRET[:4]  # what an outsider searches for; a page may repeat it
# Addresses that a reviewer may open. What they answer is searched for the secret; QUERIES are the ways to look for it.
OPEN = {
    "account": 200,
    "api-docs": 200,
    "api-schema": 200,
    "healthz": 200,
    "home": 200,
    "items": 200,
    "javascript_words": 200,
    "keymap": 200,
    "keys": 200,
    "login": 302,
    "metrics": 403,  # of the operator's networks only
    "palette": 200,
    "policy": 200,
    "readyz": 200,
}
QUERIES = {
    "items": (
        "",
        f"?q={BEGINNING}",
        f"?text={BEGINNING}",
        f"?external_id={BEGINNING}",
        f"?source={BEGINNING}",
        "?queue=closed-circle",
        "?status=reviewed",
        "?status=ready",
        "?reviewer=",
        "?view=grid",
        "?before=999999",
        "?after=0",
        "?language=sw",
    ),
    "palette": (f"?q={BEGINNING}", "?q=1", "?q="),
}
# Addresses of one item, of a part of it or of work on it: refused to everybody outside.
OF_AN_ITEM = {
    "ahead",
    "api-appeal",
    "api-draft",
    "api-escalate",
    "api-heartbeat",
    "api-item",
    "api-next",
    "api-reveal",
    "api-reports",
    "api-skip",
    "api-submit",
    "api-undo",
    "api-undo-assignment",
    "api-withdraw",
    "appeal",
    "asset",
    "asset_copy",
    "asset_frame",
    "bulk",
    "draft",
    "escalate",
    "flag",
    "frame",
    "heartbeat",
    "item",
    "item_retry",
    "item_take",
    "item_withdraw",
    "know",
    "regenerate",
    "retake",
    "reveal",
    "review",
    "review_dispute",
    "similar",
    "skip",
    "submit",
    "training:lineage_item",
    "undo",
}
# Actions of a reviewer's own that name no item.
OWN = {"api-undo-last", "blur", "filter_save", "filter_delete", "key_revoke", "logout", "take_break", "undo_last"}
# Everything else is for leads, or for keys with a scope that reviewers cannot have.
OF_LEADS = {
    "api-export",
    "api-export-file",
    "api-export-of",
    "api-export-summary",
    "api-exports",
    "api-items",
    "api-moderate",
    "api-moderate-stream",
    "api-pipeline",
    "api-pipeline-cancel",
    "api-pipeline-clone",
    "api-pipelines",
    "api-run",
    "api-run-cancel",
    "api-run-clone",
    "api-run-resume",
    "api-run-rollouts",
    "api-runs",
    "api-schedule",
    "api-schedule-fire",
    "api-schedules",
    "api-snapshots",
    "api-version-promote",
    "api-withdraw-many",
    "appeals",
    "apply_rules",
    "bulk_decision",
    "decide_stale",
    "delivery_replay",
    "export",
    "export_download",
    "export_file",
    "export_files",
    "group",
    "group_new",
    "insight_csv",
    "insights",
    "items_decide",
    "items_escalate",
    "items_move",
    "known",
    "moderation",
    "openai-moderations",
    "policy_edit",
    "queue",
    "queue_new",
    "queues",
    "review_escalated",
    "rule",
    "rule_act",
    "rule_new",
    "stale",
    "undo_bulk",
    "upload",
    "webhook",
    "webhook_act",
    "webhooks",
}


def addresses(patterns: Any = None, space: str = "") -> Iterator[tuple[str, list[str]]]:
    """Every name in the URL configuration, with the parameters of its path."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, f"{pattern.namespace}:" if pattern.namespace else space)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield f"{space}{pattern.name}", list(pattern.pattern.converters)


ADDRESSES = dict(addresses())


@pytest.fixture
def circle() -> Circle:
    return Circle()


def text_of(answer: Any) -> str:
    body = b"".join(answer) if answer.streaming else answer.content
    return (body.decode("utf-8", "replace") + str(dict(answer.headers))).lower()


def test_every_address_is_in_one_of_the_tables() -> None:
    tables = [set(OPEN), OF_AN_ITEM, OWN, OF_LEADS, {name for name in ADDRESSES if name.startswith("training:")}]
    named = set().union(*tables)
    assert (set(ADDRESSES) - named, named - set(ADDRESSES)) == (set(), set())
    assert [name for name in ADDRESSES if sum(name in table for table in tables) > 1] == ["training:lineage_item"]


@pytest.mark.parametrize("by", ["session", "key"])
def test_no_address_tells_an_outsider_about_the_item(circle: Circle, by: str) -> None:
    client = signed_in(circle.outsider) if by == "session" else Client()
    headers = {}
    if by == "key":
        key = create_key(owner=circle.outsider, name="mine", scopes=[ApiScope.REVIEWS_WRITE])
        headers = {"Authorization": f"Bearer {key.secret}"}
    asked = 0
    for name in sorted(ADDRESSES):
        if name in OWN or (by == "key" and not name.startswith(("api-", "openai-"))):
            continue
        for method in ("get", "post", "put", "delete"):
            for query in QUERIES.get(name, ("",)):
                url = reverse(name, kwargs=circle.arguments(ADDRESSES[name])) + query
                sent = {"data": {"key": "value"}, "content_type": "application/json"} if name.startswith("api-") else {}
                answer = getattr(client, method)(
                    url, headers={**headers, "Idempotency-Key": uuid.uuid4().hex}, **(sent if method != "get" else {})
                )
                asked += 1
                assert SECRET not in text_of(answer).replace(f"q={SECRET}", "").replace(f'"{SECRET}"', ""), (
                    method,
                    url,
                )
                if name in OPEN and method == "get":
                    assert answer.status_code == OPEN[name], (url, answer.status_code)
                elif name == "undo" and method == "post":
                    assert answer.headers["Location"] == "/" and not ReviewRetraction.objects.exists()
                elif name not in OPEN:
                    assert answer.status_code in (403, 404, 405, 409, 422), (method, url, answer.status_code)
    assert asked > (300 if by == "session" else 100)
    assert not Event.objects.filter(actor=circle.outsider, at__gt=circle.review.created_at + timedelta(days=1)).exists()
    assert Assignment.objects.filter(reviewer=circle.outsider, state=AssignmentState.ACTIVE).count() == 0


@pytest.mark.parametrize("name", sorted(OF_AN_ITEM & {"item", "similar", "frame", "asset", "review", "regenerate"}))
def test_a_member_is_shown_what_an_outsider_is_refused(circle: Circle, name: str) -> None:
    circle.item.status = "ready"
    url = reverse(name, kwargs=circle.arguments(ADDRESSES[name])) + ("?from=1" if name == "regenerate" else "")
    assert signed_in(circle.outsider).get(url).status_code in (403, 404)
    if name == "regenerate":
        return  # the lease is the outsider's
    answer = signed_in(circle.member).get(url)
    # the files themselves are not on the disk of this test
    assert answer.status_code == (404 if name in ("frame", "asset") else 200)


def test_a_member_finds_the_item_in_each_list_that_an_outsider_does_not(circle: Circle) -> None:
    for address in (
        f"{reverse('items')}?q={SECRET}",
        reverse("items"),
        f"{reverse('palette')}?q={SECRET}-1",
        reverse("similar", args=[circle.public.pk]),
    ):
        found = [f"{SECRET}-1" in signed_in(user).get(address).text for user in (circle.member, circle.outsider)]
        assert found == [True, False], address
    assert f"{SECRET}-0" in signed_in(circle.lead).get(reverse("item", args=[circle.reviewed.pk])).text
