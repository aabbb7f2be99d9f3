"""The schedule pages: made, changed, switched, run now, removed, and what came of each."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import User
from annotation.status import Role
from tests.factories import make_user, production
from tests.training.rows import make_much_gold
from training.models import Pipeline, RetrainSchedule
from training.status import FiringOutcome

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.pages.refusals.ring", lambda task: True)


@pytest.fixture
def lead() -> User:
    return make_user(Role.LEAD)


@pytest.fixture
def page(client: Client, lead: User) -> Client:
    client.force_login(lead)
    return client


def sent(**fields: Any) -> dict[str, Any]:
    return {
        "name": "nightly",
        "enabled": "on",
        "trigger": "cron",
        "cron": "0 3 * * *",
        "time_zone": "Europe/Berlin",
        "hard_samples": 50,
        "agreement_below": 0.9,
        "agreement_window": 200,
        "min_hours": 12,
        "recipe": "starter-sft",
        "processes": 1,
        "strategy": "none",
        "settings": "[grpo]\nlearning_rate = 5e-5\n",
        **fields,
    }


def made(page: Client, **fields: Any) -> RetrainSchedule:
    page.post(reverse("training:schedule_new"), sent(**fields))
    return RetrainSchedule.objects.get()


def test_reviewers_see_and_do_nothing_here(client: Client, page: Client) -> None:
    schedule = made(page)
    client.force_login(make_user(Role.REVIEWER))
    for name, arguments in (("schedules", []), ("schedule_new", []), ("schedule", [schedule.pk])):
        assert client.get(reverse(f"training:{name}", args=arguments)).status_code == 403
    for name in ("schedule", "schedule_switch", "schedule_run", "schedule_remove"):
        assert client.post(reverse(f"training:{name}", args=[schedule.pk]), sent(name="mine")).status_code == 403
    schedule.refresh_from_db()
    assert schedule.name == "nightly" and schedule.enabled


def test_without_schedules_the_page_says_what_they_do(page: Client) -> None:
    assert "No schedules yet" in page.get(reverse("training:schedules")).text


def test_a_schedule_is_made_shown_and_changed(page: Client) -> None:
    schedule = made(page)
    assert (
        schedule.overrides == {"grpo": {"learning_rate": 5e-5}} and schedule.launch == {} and schedule.beat is not None
    )
    listed = page.get(reverse("training:schedules")).text
    assert "nightly" in listed and "0 3 * * *" in listed and "never fired" in listed and " style=" not in listed
    address = reverse("training:schedule", args=[schedule.pk])
    assert "learning_rate = 5e-05" in page.get(address).text
    page.post(address, sent(trigger="hard_samples", hard_samples=7, settings=""))
    schedule.refresh_from_db()
    assert (schedule.trigger, schedule.hard_samples, schedule.overrides, schedule.beat) == ("hard_samples", 7, {}, None)
    assert "0 of 7 new hard samples" in page.get(reverse("training:schedules")).text


@pytest.mark.parametrize(
    ("fields", "where", "message"),
    [
        ({"cron": "at night"}, "cron", "five parts"),
        ({"time_zone": "Mars"}, "time_zone", "not a time zone"),
        ({"settings": "[grpo"}, "settings", "not valid TOML"),
        ({"settings": "epochs = 2"}, "settings", "outside a section"),
        ({"settings": "[sft]\nepoch = 2"}, "settings", "epoch is not a setting"),
        ({"settings": "[sft]\nepochs = -1"}, "settings", "epochs=-1"),
        ({"processes": 2}, "strategy", "one process has strategy none"),
        ({"name": " "}, "name", "required"),
        ({"hard_samples": 0}, "hard_samples", "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_named_at_its_field(page: Client, fields: dict[str, Any], where: str, message: str) -> None:
    answer = page.post(reverse("training:schedule_new"), sent(**fields))
    assert answer.status_code == 422 and message in " ".join(answer.context["form"].errors[where])
    assert not RetrainSchedule.objects.exists()


def test_a_name_is_taken_once(page: Client) -> None:
    made(page)
    assert "exists" in page.post(reverse("training:schedule_new"), sent()).text


def test_a_schedule_is_switched_off_and_on(page: Client) -> None:
    schedule = made(page)
    for word, expected in (("no", False), ("yes", True)):
        page.post(reverse("training:schedule_switch", args=[schedule.pk]), {"enabled": word})
        schedule.refresh_from_db()
        assert schedule.enabled is expected


def test_run_now_starts_its_pipeline_and_says_so(page: Client, lead: User) -> None:
    schedule = made(page)
    production()
    make_much_gold(lead, 40)
    answer = page.post(reverse("training:schedule_run", args=[schedule.pk]))
    pipeline = Pipeline.objects.get()
    assert pipeline.schedule == schedule and answer["Location"] == reverse(
        "training:run", args=[pipeline.runs.order_by("id")[0].pk]
    )
    listed = page.get(reverse("training:schedules")).text
    assert pipeline.name in listed and "under way" in listed
    assert pipeline.name in page.get(reverse("training:schedule", args=[schedule.pk])).text


def test_run_now_without_gold_says_why_nothing_started(page: Client) -> None:
    schedule = made(page)
    production()
    answer = page.post(reverse("training:schedule_run", args=[schedule.pk]), follow=True)
    assert "No gold has settled" in answer.text and schedule.firings.get().outcome == FiringOutcome.SKIPPED
    again = page.post(reverse("training:schedule_run", args=[schedule.pk]), follow=True)
    assert "a moment ago" in again.text


def test_a_schedule_is_removed_and_its_pipelines_stay(page: Client, lead: User) -> None:
    schedule = made(page)
    production()
    make_much_gold(lead, 40)
    page.post(reverse("training:schedule_run", args=[schedule.pk]))
    page.post(reverse("training:schedule_remove", args=[schedule.pk]))
    assert not RetrainSchedule.objects.exists() and Pipeline.objects.count() == 1
