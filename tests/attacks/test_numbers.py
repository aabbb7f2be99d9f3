"""A number of any size, in an address, a query or a body, is refused by name or finds nothing: never a 500."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from annotation.people.api_keys import create_key
from annotation.status import ApiScope, Role
from tests.attacks.circle import signed_in
from tests.attacks.test_items_of_other_groups import ADDRESSES
from tests.factories import default_policy, default_queue, make_item, make_user, production
from tests.training.rows import make_snapshot

pytestmark = pytest.mark.django_db
NUMBERS = (2**31, 2**63 - 1, 2**63, 2**64, -(2**31) - 1, -(2**63) - 1, 10**30)
QUERIES = (
    "before",
    "after",
    "page",
    "limit",
    "cursor",
    "run",
    "step",
    "since",
    "to",
    "from",
    "days",
    "item",
    "status",
    "queue",
    "view",
    "snapshot",
    "pipeline",
    "kind",
    "reports",
)


@pytest.fixture
def lead(monkeypatch: pytest.MonkeyPatch) -> Client:
    for name in ("training.pages.refusals.ring", "training.api.base.ring"):
        monkeypatch.setattr(name, lambda task: True)
    production()
    client = signed_in(make_user(Role.LEAD))
    client.raise_request_exception = False
    return client


def by_key() -> dict[str, str]:
    made = create_key(owner=make_user(Role.LEAD), name="all", scopes=list(ApiScope))
    return {"Authorization": f"Bearer {made.secret}", "Idempotency-Key": "0123456789"}


def headers_for(name: str, key: dict[str, str]) -> dict[str, str]:
    return key if name.startswith(("api-", "openai-")) else {}


def arguments(name: str, number: int | str) -> dict[str, Any]:
    values = {
        "slug": "default",
        "token": "00000000-0000-4000-8000-000000000000",
        "sha256": "0" * 64,
        "key": "reviewers",
        "name": "a",
        "prefix": "gk_0",
        "chart": "loss",
    }
    return {one: values.get(one, number) for one in ADDRESSES[name]}


def test_a_number_in_an_address_finds_nothing(lead: Client) -> None:
    key = by_key()
    failed = [
        (method, name, number)
        for name, parameters in ADDRESSES.items()
        for number in (2**31, 2**63 - 1, 2**63, 10**30)
        if any(one.endswith("_id") or one in ("medium", "index") for one in parameters)
        for method in ("get", "post")
        if getattr(lead, method)(
            reverse(name, kwargs=arguments(name, number)), headers=headers_for(name, key)
        ).status_code
        >= 500
    ]
    assert failed == []
    assert lead.get(f"/items/{'9' * 5_000}/").status_code == 404


@pytest.mark.slow
def test_a_number_in_a_query_is_refused_or_ignored(lead: Client) -> None:
    key, snapshot = by_key(), make_snapshot()
    item = make_item()
    failed = []
    for name, parameters in ADDRESSES.items():
        if name.startswith(
            ("api-moderate", "openai-", "api-export", "export_download", "metrics", "healthz", "readyz")
        ):
            continue
        made = {one: snapshot.pk if "snapshot" in one else item.pk for one in parameters}
        url = reverse(name, kwargs=arguments(name, 1) | {one: made[one] for one in parameters if one.endswith("_id")})
        for number in (*map(str, NUMBERS), "9" * 5_000, "²", "1e400", "٣"):
            query = dict.fromkeys(QUERIES, number)
            if lead.get(url, query, headers=headers_for(name, key)).status_code >= 500:
                failed.append((url, number[:40]))
    assert failed == []


def bodies(snapshot: int, item: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, address and a body that is taken, but for the numbers in it, which are 7."""
    yield "post", "/api/v1/runs", {"snapshot": 7}
    yield "post", "/api/v1/runs", {"snapshot": snapshot, "base_version": 7}
    yield "post", "/api/v1/runs", {"snapshot": snapshot, "after": 7}
    yield "post", "/api/v1/runs", {"snapshot": snapshot, "mined_from": 7}
    yield "post", "/api/v1/runs", {"snapshot": snapshot, "settings": {"seed": 7}}
    yield "post", "/api/v1/runs", {"snapshot": snapshot, "settings": {"max_steps": 7}}
    yield "post", "/api/v1/runs", {"snapshot": snapshot, "launch": {"processes": 7, "strategy": "ddp"}}
    yield "post", "/api/v1/runs", {"snapshot": snapshot, "launch": {"machines": 7}}
    yield "post", "/api/v1/runs", {"snapshot": snapshot, "recipe_toml": "[sft]\nseed = 7"}
    yield "post", "/api/v1/pipelines", {"snapshot": snapshot, "settings": {"sft": {"save_every": 7}}}
    yield "post", "/api/v1/pipelines", {"snapshot": 7}
    for field in ("hard_samples", "min_hours", "agreement_window", "agreement_below"):
        nightly = {"name": f"by {field}", "trigger": "hard_samples", field: 7}
        yield "post", "/api/v1/schedules", nightly
    yield "post", "/api/v1/schedules", {"name": "x", "trigger": "cron", "cron": "0 7 * * *"}
    yield "post", "/api/v1/snapshots", {"name": "x", "since": 7}
    yield "post", "/api/v1/exports", {"format": "canonical", "only_hard": 7}
    yield "post", "/api/v1/items", {"external_id": "a", "prompt": "b", "metadata": {"views": 7}}
    yield "post", "/api/v1/items", {"external_id": "b", "prompt": "b", "author": {"id": "x", "strikes": 7}}
    yield "post", "/api/v1/items", {"external_id": "c", "prompt": "b", "author": {"id": 7}}
    yield "post", "/api/v1/items", {"external_id": "d", "prompt": "b", "reported_at": 7}
    yield "post", "/api/v1/items", {"external_id": "e", "prompt": "b", "thread": [{"text": "a", "at": 7}]}
    yield "post", "/api/v1/items", {"external_id": 7, "prompt": 7, "language": 7, "modality": 7, "media": 7}
    yield "post", "/api/v1/items", {"external_id": "f", "messages": [{"role": "user", "content": 7}]}
    yield "post", f"/api/v1/items/{item}/reports", {"reporter": 7, "reason": {"policy_id": 7}}
    yield "post", f"/api/v1/items/{item}/reports", {"reports": [{"reporter": "a", "reason": 7}]}
    yield "post", f"/api/v1/items/{item}/withdraw", {"reason": 7}
    yield "post", "/api/v1/items/withdraw", {"items": [{"external_id": 7}]}
    yield "post", "/api/v1/moderate", {"contents": [{"prompt": "a"}], "deadline_ms": 7}
    yield "post", "/api/v1/moderate", {"contents": [{"prompt": "a"}], "rollouts": 7}
    yield "post", "/api/v1/moderate", {"contents": 7}
    yield "post", "/v1/moderations", {"input": 7}
    yield "post", "/v1/moderations", {"input": [7]}
    yield "post", "/api/v1/versions/1/promote", {"reason": 7}
    verdict = {"kind": "corrected", "prompt_label": "harmful"}
    for field in ("severity", "confidence"):
        yield "post", "TOKEN/submit", verdict | {field: 7}
    for link in (
        {"kind": "frame", "medium": 7, "index": 7},
        {"kind": "region", "medium": 0, "index": 0, "x": 7, "y": 7, "w": 7, "h": 7},
        {"kind": "span", "field": "prompt", "start": 7, "end": 7},
    ):
        yield "post", "TOKEN/submit", verdict | {"steps": [{"text": None, "edit": "a", "links": [link]}]}
    yield "put", "TOKEN/draft", {"payload": {"a": 7, "steps": [7]}}
    yield "post", "TOKEN/escalate", {"reason": 7}


def test_a_number_in_a_body_is_refused_by_its_field(lead: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    default_policy()
    key, snapshot, item = by_key(), make_snapshot(), make_item(response="c")
    monkeypatch.setattr("annotation.api.items.ring", lambda task: None)
    make_item(queue=default_queue(), response="d")
    token = lead.post("/api/v1/queues/default/next", headers=key).json()["token"]
    failed, refused = [], 0
    for method, address, body in bodies(snapshot.pk, item.pk):
        for number in (*map(str, NUMBERS), "9" * 400, "1e308", "-0.0", "[[7]]", '{"7": 7}', "true", "null"):
            sent = json.dumps(body).replace("7", number)
            url = address.replace("TOKEN", f"/api/v1/assignments/{token}")
            answer = getattr(lead, method)(url, sent, content_type="application/json", headers=key)
            # without a guard's process, moderation answers 503
            if answer.status_code >= 500 and not (answer.status_code == 503 and "moderat" in url):
                failed.append((url, sent[:200], answer.status_code))
            if answer.status_code in (400, 422):
                refused += 1
                assert answer.json()["detail"], (url, sent)
                if number in map(str, (2**63, -(2**63) - 1)) and answer.status_code == 422:
                    assert answer.json()["errors"], (url, sent, answer.text)
    assert failed == []
    assert refused > 200
