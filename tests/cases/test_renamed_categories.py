"""A policy category is its code: names change freely, and what was decided or begun under an earlier version stays."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from annotation.exporting.formats import ExportFormat
from annotation.exporting.stream import ExportRequest, export_lines
from annotation.models import (
    Assignment,
    Draft,
    GoldLabel,
    HardSample,
    ModerationThreshold,
    PolicyVersion,
    Review,
    ReviewQueue,
    RoutingRule,
    User,
)
from annotation.people.api_keys import create_key
from annotation.policies.publish import CategoryText, PolicyNotValid, categories_of, publish_version, stale_gold
from annotation.predictions.active_policy import active_policy_version, known_categories
from annotation.review.assign import assign_next
from annotation.status import ApiScope, ReviewKind, Role
from guardapp.guard.taxonomy import RESERVED_CODES
from tests.factories import default_policy, default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
Change = Callable[[list[CategoryText]], list[CategoryText]]


def publish(change: Change) -> PolicyVersion:
    default_policy()
    newest = active_policy_version()
    return publish_version(
        policy=newest.policy,
        text=newest.text,
        categories=change(categories_of(newest)),
        change="As the team agreed.",
        by=make_user(Role.LEAD),
        based_on=newest.number,
    )


def rename(code: str, name: str) -> PolicyVersion:
    return publish(lambda rows: [CategoryText(r.code, name if r.code == code else r.name, r.guidance) for r in rows])


def retire(*codes: str) -> PolicyVersion:
    return publish(lambda rows: [row for row in rows if row.code not in codes])


def add(code: str, name: str = "Knives", guidance: str = "Blades carried to hurt.") -> PolicyVersion:
    return publish(lambda rows: [*rows, CategoryText(code, name, guidance)])


def exported(format: ExportFormat) -> list[Any]:
    """The rows of the export, without what the first of them says of the present policies."""
    rows = [json.loads(line) for line in b"".join(export_lines(request=ExportRequest(format, False))).splitlines()]
    for row in rows:
        row.pop("definitions", None)
    return rows


@pytest.fixture
def person(client: Client) -> User:
    user = make_user()
    client.force_login(user)
    return user


@pytest.fixture
def held(person: User) -> Assignment:
    make_item(prediction={"categories": ["S2"], "steps": ["A fraud (S2)."], "prompt_label": "harmful"})
    lease = assign_next(reviewer=person, queue=default_queue())
    assert lease is not None
    return lease


def ticked(client: Client) -> list[str]:
    """The categories that the review page shows as ticked."""
    form = client.get(reverse("review", args=["default"])).context["page"]
    return sorted(one.code for one in form.categories if one.code in form.work.categories)


def submit(client: Client, held: Assignment, *categories: str, label: str = "harmful") -> Review:
    sent = {"idempotency_key": uuid.uuid4().hex, "prompt_label": label, "categories": list(categories)}
    answer = client.post(reverse("submit", args=[held.token]), sent)
    assert answer.status_code < 400, answer.text
    return Review.objects.latest("id")


CHANGES: dict[str, Callable[[], PolicyVersion]] = {
    "renamed": lambda: rename("S2", "Scams"),
    "another renamed": lambda: rename("S1", "Violence"),
    "one added": lambda: add("KNIVES"),
    "retired": lambda: retire("S2"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_reviewer_in_the_middle_keeps_the_ticks_of_the_draft(client: Client, held: Assignment, change: str) -> None:
    client.post(
        reverse("draft", args=[held.token]), {"idempotency_key": "0123456789abcdef", "categories": ["S2", "S7"]}
    )
    CHANGES[change]()
    assert ticked(client) == ["S2", "S7"]
    client.post(
        reverse("draft", args=[held.token]), {"idempotency_key": "0123456789abcdef", "categories": ["S2", "S7"]}
    )
    assert Draft.objects.get().payload["categories"] == ["S2", "S7"], "the open page saves them again"


@pytest.mark.parametrize("change", CHANGES)
def test_accepting_a_judgement_of_before_stays_an_acceptance(client: Client, held: Assignment, change: str) -> None:
    CHANGES[change]()
    review = submit(client, held, "S2")
    assert (review.kind, review.categories) == (ReviewKind.ACCEPTED, ["S2"])
    gold = GoldLabel.objects.get()
    assert (gold.prompt_label, gold.categories, gold.target_source) == ("harmful", ["S2"], "accepted")
    assert not HardSample.objects.exists()


def test_a_page_opened_before_the_change_submits_a_category_that_is_retired_since(
    client: Client, held: Assignment
) -> None:
    retire("S7")
    review = submit(client, held, "S2", "S7")
    assert (review.kind, review.categories) == (ReviewKind.CORRECTED, ["S2", "S7"])
    gold = GoldLabel.objects.get()
    assert gold.stale_at is not None, "as gold of it is that was settled before"
    assert "This falls under Privacy (S7)." in gold.target_steps


def test_a_retired_category_is_offered_only_where_the_judgement_or_the_work_names_it(
    client: Client, held: Assignment
) -> None:
    retire("S2", "S7")
    page = client.get(reverse("review", args=["default"])).context["page"]
    offered = {one.code: one.retired for one in page.categories}
    assert offered["S2"] is True and offered["S1"] is False and "S7" not in offered


def test_a_blind_page_does_not_tell_the_guards_retired_category(client: Client, person: User) -> None:
    queue = default_queue(mode="blind")
    make_item(prediction={"categories": ["S2"]})
    assert assign_next(reviewer=person, queue=queue) is not None
    retire("S2")
    page = client.get(reverse("review", args=["default"])).context["page"]
    assert "S2" not in {one.code for one in page.categories}


def test_a_program_may_name_a_retired_category_and_is_told_the_policys_where_it_names_none(held: Assignment) -> None:
    retire("S7")
    secret = create_key(owner=held.reviewer, name="desk", scopes=[ApiScope.REVIEWS_WRITE]).secret
    desk = APIClient(headers={"Authorization": f"Bearer {secret}", "Idempotency-Key": uuid.uuid4().hex})
    address = f"/api/v1/assignments/{held.token}/submit"
    decision = {"kind": "corrected", "prompt_label": "harmful"}
    refused = desk.post(address, decision | {"categories": ["S99"]}, format="json")
    assert refused.status_code == 422 and "S8" in refused.text and "S7" not in refused.text
    assert desk.post(address, decision | {"categories": ["S7"]}, format="json").status_code == 201


def test_a_new_name_casts_no_doubt_on_gold_and_new_guidance_does(client: Client, held: Assignment) -> None:
    submit(client, held, "S2")
    version = rename("S2", "Scams")
    assert not stale_gold().exists()
    assert version.policy.versions.count() == 2
    publish(
        lambda rows: [
            CategoryText(r.code, r.name, r.guidance + (" Also spam." if r.code == "S2" else "")) for r in rows
        ]
    )
    assert stale_gold().count() == 1


def test_a_retired_category_stays_readable_with_its_last_name(client: Client, held: Assignment) -> None:
    submit(client, held, "S2")
    rename("S2", "Scams & tricks")
    retire("S2")
    lead = make_user(Role.LEAD)
    client.force_login(lead)
    words = "S2 Scams &amp; tricks (retired)"
    pages = [
        reverse("item", args=[held.item_id]),  # prediction and review
        reverse("stale"),
    ]
    for page in pages:
        assert words in client.get(page).text, page
    listed = client.get(reverse("items") + "?category=S2")
    assert listed.status_code == 200 and "Scams &amp; tricks" in listed.text and held.item.external_id in listed.text


def test_insights_name_a_retired_category_as_long_as_the_period_names_it(client: Client) -> None:
    queue = default_queue(reviews_per_item=2)
    make_item(prediction={"categories": ["S2"], "prompt_label": "harmful"})
    for _ in range(2):
        reviewer = make_user()
        client.force_login(reviewer)
        lease = assign_next(reviewer=reviewer, queue=queue)
        assert lease is not None
        submit(client, lease, "S2")
    rename("S2", "Scams")
    retire("S2", "S7")
    client.force_login(make_user(Role.LEAD))
    rows = client.get(reverse("insight_csv", args=["agreement-by-category"])).text
    assert "S2 Scams" in rows and "S7 Privacy" not in rows and "S1 Violent crimes" in rows
    assert "S2 Scams" in client.get(reverse("insight_csv", args=["drift-by-category"])).text


def test_saving_a_form_that_was_filled_before_does_not_drop_a_retired_category(client: Client) -> None:
    queue, lead = default_queue(blur_categories=["S2"]), make_user(Role.LEAD, opted_out=["S2"])
    rule = RoutingRule.objects.create(
        name="Fraud", position=1, queue=queue, conditions={"categories": ["S2"]}, created_by=lead
    )
    ModerationThreshold.objects.create(category="S2", review_at=0.2, block_at=0.8)
    retire("S2")
    client.force_login(lead)
    pages = {
        reverse("queue", args=[queue.slug]): ("blur_categories",),
        reverse("rule", args=[rule.pk]): ("if-categories",),
        reverse("account"): ("opted_out",),
    }
    for page, (name,) in pages.items():
        text = client.get(page).text
        assert f'name="{name}" value="S2"' in " ".join(text.split()), page
        assert "retired" in text, page
    thresholds = client.get(reverse("moderation"))
    assert "Non-violent crimes (S2), retired" in thresholds.text
    client.post(reverse("account"), {"opted_out": ["S2", "S4"]})
    lead.refresh_from_db()
    assert lead.opted_out == ["S4", "S2"]
    assert ReviewQueue.objects.get(pk=queue.pk).blur_categories == ["S2"]


def test_a_retired_code_is_never_given_another_meaning() -> None:
    retire("S2")
    for name, guidance in (("Spam", "Bulk mail."), ("Non-violent crimes", "Bulk mail.")):
        with pytest.raises(PolicyNotValid, match="Non-violent crimes"):
            add("S2", name, guidance)
    was = next(one for one in known_categories(default_policy()) if one.code == "S2")
    back = add("S2", was.name, was.guidance)
    assert not next(one for one in known_categories(back) if one.code == "S2").retired
    rename("S2", "Scams")


def test_a_category_cannot_be_given_another_code() -> None:
    with pytest.raises(PolicyNotValid, match="S2 would become FRAUD"):
        publish(lambda rows: [CategoryText("FRAUD" if r.code == "S2" else r.code, r.name, r.guidance) for r in rows])


@pytest.mark.parametrize("code", sorted(code for code in RESERVED_CODES if code.isidentifier()))
def test_a_word_of_the_guards_own_is_no_code(code: str) -> None:
    for written in (code, code.upper()):
        with pytest.raises(PolicyNotValid, match="cannot be a code") as refused:
            add(written)
        assert refused.value.field == "categories"


@pytest.mark.parametrize("code", ["2024", "s2", "S 2", "é1"])
def test_a_code_that_would_be_misread_is_refused(code: str) -> None:
    with pytest.raises(PolicyNotValid):
        add(code)


def test_the_page_of_the_policy_keeps_codes_and_lists_the_retired_ones(client: Client) -> None:
    retire("S2")
    client.force_login(make_user(Role.LEAD))
    page = " ".join(client.get(reverse("policy_edit", args=["default"])).text.split())
    assert 'value="S1" readonly' in page
    assert "Retired categories" in page and "Non-violent crimes" in page


@pytest.mark.parametrize("format", [ExportFormat.CANONICAL, ExportFormat.SHAREGPT, ExportFormat.TRL])
def test_an_export_keeps_the_codes_of_before(client: Client, held: Assignment, format: ExportFormat) -> None:
    submit(client, held, "S2")
    before = exported(format)
    rename("S2", "Scams")
    assert "S2" in str(before) and exported(format) == before
    retire("S2")
    assert "S2" in str(exported(ExportFormat.CANONICAL))
