"""The pages of the gate, the flips and shadow mode: what leads and admins can do there, and that nobody else can."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import ModelVersion, Prediction, User
from annotation.people.api_keys import create_key
from annotation.status import ApiScope, Role, VersionStatus
from tests.factories import make_item, make_user, production
from tests.training.rows import make_candidate, make_evaluation, make_snapshot
from training.models import DatasetSnapshot, Evaluation, GateSettings, Promotion
from training.versions import flips
from training.versions.gate import thresholds

pytestmark = pytest.mark.django_db
FORM = {
    "alpha": 0.01,
    "f1_margin": 0.03,
    "category_margin": 0.1,
    "false_positive_cap": 0.3,
    "parse_failure_cap": 0.05,
    "regression_cap": 0.0,
    "fewest_rows": 50,
}
TASK = {
    "f1": 0.8,
    "f1_low": 0.6,
    "f1_high": 0.9,
    "precision": 0.8,
    "recall": 0.75,
    "false_positive_rate": 0.1,
    "parse_failure_rate": 0.0,
    "n": 8,
    "positives": 4,
    "negatives": 4,
    "calibration_error": 0.123,
    "average_precision": 0.9,
    "reliability": [
        {"low": 0.0, "high": 0.1, "n": 4, "mean_score": 0.05, "positives": 0.25},
        {"low": 0.9, "high": 1.0, "n": 4, "mean_score": 0.95, "positives": 0.75},
    ],
}
RESULT = {
    "tasks": {"prompt_harmfulness": TASK},
    "sources": {"xstest-like": {"prompt_harmfulness": TASK}},
    "tokens_per_row": 61.5,
    "ms_per_row": 12.0,
    "ms_p95": 20.0,
    "averages": {"prompt_harmfulness": {"sources": 1, "f1": 0.8, "recall": 0.75, "false_positive_rate": 0.1}},
}


@pytest.fixture
def lead() -> User:
    return make_user(Role.LEAD)


@pytest.fixture
def page(client: Client, lead: User) -> Client:
    client.force_login(lead)
    return client


@pytest.fixture
def snapshot() -> DatasetSnapshot:
    return make_snapshot(40)


def candidate_with(
    snapshot: DatasetSnapshot, *, wrong: int, production_wrong: int = 0, result: dict[str, Any] | None = None
) -> ModelVersion:
    version = make_candidate(production())
    for evaluated, count in ((version, wrong), (production(), production_wrong)):
        make_evaluation(evaluated, snapshot, count)
    Evaluation.objects.update(result=result or RESULT)
    return version


def test_the_version_page_shows_each_check_with_what_it_needs(page: Client, snapshot: DatasetSnapshot) -> None:
    version = candidate_with(snapshot, wrong=7)
    answer = page.get(reverse("training:version", args=[version.pk]))
    assert answer.context["gate"]["passed"] is False
    for words in (
        "Not passed",
        "Prompt harmfulness: labels",
        "needs not worse with p below 0.05",
        "only production on 7",
        "not enough rows",
    ):
        assert words in answer.text
    assert "An admin may promote it all the same" in answer.text and "Why over the gate" not in answer.text


def test_calibration_cost_and_over_refusal_are_shown(page: Client, snapshot: DatasetSnapshot) -> None:
    content = page.get(reverse("training:version", args=[candidate_with(snapshot, wrong=1).pk])).text
    assert "0.123" in content and "61.5" in content and "xstest-like" in content
    assert content.count("data-reliability-of=") == 4 and 'data-reliability="0"' in content


def test_an_evaluation_of_before_these_were_measured_still_opens(page: Client, snapshot: DatasetSnapshot) -> None:
    old = {
        name: value
        for name, value in TASK.items()
        if name in ("f1", "f1_low", "f1_high", "precision", "recall", "false_positive_rate", "parse_failure_rate", "n")
    }
    version = candidate_with(snapshot, wrong=1, result={"tasks": {"prompt_harmfulness": old}})
    answer = page.get(reverse("training:version", args=[version.pk]))
    assert answer.status_code == 200 and "<canvas data-reliability" not in answer.text


def test_a_lead_cannot_promote_over_the_gate_and_an_admin_can(
    page: Client, client: Client, snapshot: DatasetSnapshot
) -> None:
    version = candidate_with(snapshot, wrong=7)
    form = {"reason": "The policy changed.", "override": "The old gold is stale."}
    address = reverse("training:promote", args=[version.pk])
    assert "Only admins" in page.post(address, form, follow=True).text
    assert "The gate did not pass" in page.post(address, {"reason": "I like it."}, follow=True).text
    assert not Promotion.objects.exists()
    client.force_login(make_user(Role.ADMIN))
    assert "Why over the gate" in client.get(reverse("training:version", args=[version.pk])).text
    answer = client.post(address, form, follow=True).text
    assert Promotion.objects.get().override == "The old gold is stale."
    assert "over the gate" in answer and "The old gold is stale." in answer and "Not passed" in answer


def test_production_shows_what_its_gate_found_then(page: Client) -> None:
    version = candidate_with(make_snapshot(160), wrong=0)
    page.post(reverse("training:promote", args=[version.pk]), {"reason": "As good."})
    content = page.get(reverse("training:version", args=[version.pk])).text
    assert "As it was when candidate was promoted, against starter" in content and "gate passed" in content
    assert "It was not promoted through the gate" not in content


def test_too_few_rows_are_not_called_a_pass(page: Client, snapshot: DatasetSnapshot) -> None:
    version = candidate_with(snapshot, wrong=0)
    address = reverse("training:version", args=[version.pk])
    content = page.get(address).text
    assert "Nothing failed, too few rows to tell" in content and "held-out rows are too few to tell" in content
    assert "It passes the gate" not in content
    page.post(reverse("training:promote", args=[version.pk]), {"reason": "As good."})
    assert "too few rows to tell" in page.get(address).text and "gate passed" not in page.get(address).text


def test_admins_set_thresholds_and_leads_read_them(page: Client, client: Client) -> None:
    assert page.post(reverse("training:gate"), FORM, follow=True).status_code == 200
    assert not GateSettings.objects.exists()
    admin = make_user(Role.ADMIN)
    client.force_login(admin)
    assert client.post(reverse("training:gate"), FORM)["Location"] == reverse("training:gate")
    assert (thresholds().alpha, thresholds().fewest_rows, thresholds().open_blocks) == (0.01, 50, False)
    assert admin.get_username() in client.get(reverse("training:gate")).text


@pytest.mark.parametrize("wrong", [{"alpha": 2}, {"fewest_rows": 0}, {"f1_margin": "a lot"}, {"regression_cap": "nan"}])
def test_a_wrong_threshold_is_named_beside_its_field(client: Client, wrong: dict[str, Any]) -> None:
    client.force_login(make_user(Role.ADMIN))
    answer = client.post(reverse("training:gate"), FORM | wrong)
    assert answer.status_code == 422 and 'aria-invalid="true"' in answer.text and not GateSettings.objects.exists()


def test_flips_are_paged_by_key_on_both_sides(
    page: Client, snapshot: DatasetSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flips, "PAGE", 2)
    version = candidate_with(snapshot, wrong=1, production_wrong=6)
    first = page.get(reverse("training:fixed", args=[version.pk]))
    shown = first.context["page"]
    assert (shown.count, len(shown.flips)) == (5, 2) and shown.next_after is not None
    seen = [flip.item.pk for flip in shown.flips]
    while shown.next_after:
        shown = page.get(reverse("training:fixed", args=[version.pk]), {"after": shown.next_after}).context["page"]
        seen += [flip.item.pk for flip in shown.flips]
    assert len(seen) == len(set(seen)) == 5
    broken = page.get(reverse("training:broken", args=[version.pk]))
    assert broken.context["page"].count == 0 and "No held-out row got worse." in broken.text


def test_flips_of_versions_that_were_never_compared_are_not_there(page: Client) -> None:
    assert page.get(reverse("training:fixed", args=[make_candidate(production()).pk])).status_code == 404


def test_shadow_mode_is_started_changed_and_stopped_from_the_page(page: Client) -> None:
    version = make_candidate(production())
    address = reverse("training:set_shadow", args=[version.pk])
    for percent, share in (("25", 0.25), ("2.5", 0.025), ("0", 0.0)):
        page.post(address, {"percent": percent})
        version.refresh_from_db()
        assert version.shadow_share == pytest.approx(share)
    page.post(address, {"percent": "250"})
    page.post(reverse("training:set_shadow", args=[production().pk]), {"percent": "10"})
    assert not ModelVersion.objects.filter(shadow_share__gt=0).exists()


def test_only_disagreements_of_the_shadow_are_listed_with_both_reasonings(page: Client) -> None:
    version = make_candidate(production())
    assert page.get(reverse("training:shadow", args=[version.pk])).status_code == 404
    for label, prompt in (("harmful", "Agreed upon"), ("unharmful", "Fought over")):
        Prediction.objects.create(
            item=make_item(prompt=prompt),
            version=version,
            shadow=True,
            parsed=True,
            prompt_label=label,
            steps=["The candidate thinks so."],
            completion="…",
        )
    content = page.get(reverse("training:shadow", args=[version.pk])).text
    assert "Fought over" in content and "Agreed upon" not in content
    assert "The candidate thinks so." in content and "The thing is dangerous (S1)." in content
    assert "50 %" in page.get(reverse("training:version", args=[version.pk])).text


def test_nothing_here_is_open_to_reviewers(client: Client, snapshot: DatasetSnapshot) -> None:
    version = candidate_with(snapshot, wrong=1)
    client.force_login(make_user(Role.REVIEWER))
    assert client.get(reverse("training:gate")).status_code == 403
    assert client.post(reverse("training:gate"), FORM).status_code == 403
    for name in ("broken", "fixed", "shadow"):
        assert client.get(reverse(f"training:{name}", args=[version.pk])).status_code == 403
    assert client.post(reverse("training:set_shadow", args=[version.pk]), {"percent": "10"}).status_code == 403
    assert not GateSettings.objects.exists()


def test_a_stranger_is_sent_to_the_login(client: Client) -> None:
    assert client.get(reverse("training:gate"))["Location"].startswith("/login/")


def test_the_api_asks_the_gate_too(client: Client, snapshot: DatasetSnapshot, lead: User) -> None:
    version = candidate_with(snapshot, wrong=7)
    admin = make_user(Role.ADMIN)
    address = reverse("api-version-promote", args=[version.pk])

    def send(owner: User, **body: str) -> Any:
        secret = create_key(owner=owner, name=f"key of {owner}", scopes=[ApiScope.TRAIN]).secret
        return client.post(
            address, body, content_type="application/json", headers={"Authorization": f"Bearer {secret}"}
        )

    refused = send(lead, reason="It is newer.")
    assert refused.status_code == 409 and "only production on 7" in refused.json()["detail"]
    assert "Only admins" in send(lead, reason="It is newer.", override="Please.").json()["detail"]
    done = send(admin, reason="The policy changed.", override="The old gold is stale.")
    assert (
        done.status_code == 200
        and done.json()["override"] == "The old gold is stale."
        and done.json()["gate_passed"] is False
    )
    version.refresh_from_db()
    assert version.status == VersionStatus.PRODUCTION


def test_no_page_has_inline_script_or_style(page: Client, snapshot: DatasetSnapshot) -> None:
    version = candidate_with(snapshot, wrong=1, production_wrong=2)
    Prediction.objects.create(
        item=make_item(), version=version, shadow=True, parsed=True, prompt_label="unharmful", completion="…"
    )
    names = ("version", "broken", "fixed", "shadow")
    for address in (reverse("training:gate"), *(reverse(f"training:{name}", args=[version.pk]) for name in names)):
        content = page.get(address).text
        assert (
            " style=" not in content
            and "<style" not in content
            and "<script>" not in content
            and " onclick=" not in content
        )
