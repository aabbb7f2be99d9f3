"""Schedules: by time, after new hard samples, when agreement drops; one pipeline at a time, and never a promotion."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from annotation.models import ModelVersion, User
from annotation.status import Role, VersionStatus
from guardapp.celery import app
from tests.factories import make_user, production
from tests.training.rows import make_gold, make_much_gold
from training.errors import ScheduleNameTaken, ScheduleNotValid
from training.models import Firing, Pipeline, RetrainSchedule, TrainingRun
from training.runs.pipelines import cancel_pipeline
from training.schedules import selectors, triggers
from training.schedules.schedules import (
    ScheduleInput,
    delete_schedule,
    forget_old_bells,
    save_schedule,
    switch_schedule,
)
from training.status import FiringOutcome, RunStatus, Trigger
from training.tasks import fire_schedule

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead() -> User:
    production()
    return make_user(Role.LEAD)


def nightly(lead: User, **changes: Any) -> RetrainSchedule:
    given: dict[str, Any] = {
        "name": "nightly",
        "trigger": Trigger.CRON,
        "recipe": "starter-sft",
        "cron": "0 3 * * *",
        "min_hours": 0,
    }
    return save_schedule(given=ScheduleInput(**given | changes), person=lead)


def again(schedule: RetrainSchedule) -> None:
    """Let the time pass in which a second message is taken for the same one."""
    RetrainSchedule.objects.filter(pk=schedule.pk).update(attempted_at=timezone.now() - timedelta(hours=2))


def newest_firing(schedule: RetrainSchedule) -> Firing:
    found = selectors.last_firing(schedule)
    assert found is not None
    return found


@pytest.mark.django_db(transaction=True)  # beat closes its connection where it likes
def test_beat_knows_the_bells_and_a_schedules_time(lead: User) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    # beat reads only what is near
    schedule = nightly(lead, cron=f"0 {timezone.now().astimezone(berlin).hour} * * *", time_zone=berlin.key)
    entries = DatabaseScheduler(app=app).schedule
    assert set(app.conf.beat_schedule) <= set(entries)
    assert "celery.backend_cleanup" not in entries
    entry = entries[f"retrain-{schedule.pk}"]
    assert (entry.task, entry.args) == (fire_schedule.name, [schedule.pk])

    entry.last_run_at = timezone.now() - timedelta(days=2)
    assert entry.is_due().is_due
    entry.last_run_at = timezone.now()
    assert not entry.is_due().is_due


def test_bells_that_an_upgrade_took_away_are_forgotten(lead: User) -> None:
    schedule, every = nightly(lead), IntervalSchedule.objects.create(every=60, period="seconds")
    PeriodicTask.objects.create(name="execute", task="training.tasks.execute", interval=every)
    PeriodicTask.objects.create(name="gone", task="annotation.tasks.gone", interval=every)
    PeriodicTask.objects.create(name="somebody else's", task="elsewhere.tasks.go", interval=every)
    forget_old_bells()
    assert set(PeriodicTask.objects.values_list("name", flat=True)) == {
        "execute",
        "somebody else's",
        f"retrain-{schedule.pk}",
    }


def test_the_next_time_is_shown_in_the_schedules_time_zone(lead: User) -> None:
    schedule = nightly(lead, cron="30 3 * * *", time_zone="Asia/Tokyo")
    at = selectors.next_time(schedule)
    assert at is not None and timezone.now() < at < timezone.now() + timedelta(days=1, minutes=1)
    assert (at.astimezone(UTC).hour, at.minute) in {(18, 29), (18, 30)}
    switch_schedule(schedule=schedule, enabled=False)
    assert selectors.next_time(schedule) is None and not PeriodicTask.objects.get(pk=schedule.beat_id).enabled


def test_every_night_it_starts_a_pipeline_of_the_newest_gold_and_promotes_nothing(lead: User) -> None:
    make_much_gold(lead, 40)
    schedule = nightly(lead, overrides={"sft": {"epochs": 2}})
    fire_schedule(schedule.pk)
    pipeline = Pipeline.objects.get()
    assert pipeline.schedule == schedule and pipeline.requested_by == lead
    assert [run.kind for run in pipeline.runs.order_by("id")] == ["sft", "mine", "grpo"]
    assert pipeline.runs.order_by("id")[0].config["epochs"] == 2
    firing = newest_firing(schedule)
    assert (firing.outcome, firing.pipeline) == (FiringOutcome.STARTED, pipeline) and "0 3 * * *" in firing.why
    assert ModelVersion.objects.get().status == VersionStatus.PRODUCTION


def test_a_message_that_comes_twice_starts_one_pipeline(lead: User) -> None:
    make_much_gold(lead, 40)
    schedule = nightly(lead)
    assert triggers.fire_by_time(schedule_id=schedule.pk) is not None
    assert triggers.fire_by_time(schedule_id=schedule.pk) is None
    assert Pipeline.objects.count() == 1


def test_a_schedule_has_one_pipeline_at_a_time(lead: User) -> None:
    make_much_gold(lead, 40)
    schedule = nightly(lead)
    triggers.fire_by_time(schedule_id=schedule.pk)
    make_much_gold(lead, 20, words="Say more on")
    again(schedule)
    triggers.fire_by_time(schedule_id=schedule.pk)
    assert (
        newest_firing(schedule).outcome == FiringOutcome.SKIPPED and "still under way" in newest_firing(schedule).note
    )

    cancel_pipeline(pipeline=Pipeline.objects.get())
    again(schedule)
    triggers.fire_by_time(schedule_id=schedule.pk)
    assert newest_firing(schedule).outcome == FiringOutcome.STARTED and Pipeline.objects.count() == 2


def test_without_enough_gold_it_says_why(lead: User) -> None:
    make_much_gold(lead, 3)
    schedule = nightly(lead)
    triggers.fire_by_time(schedule_id=schedule.pk)
    firing = newest_firing(schedule)
    assert (
        firing.outcome == FiringOutcome.FAILED
        and "rows to train on" in firing.note
        and not TrainingRun.objects.exists()
    )


def test_without_new_gold_it_trains_nothing_again(lead: User) -> None:
    make_much_gold(lead, 40)
    schedule = nightly(lead)
    triggers.fire_by_time(schedule_id=schedule.pk)
    TrainingRun.objects.update(status=RunStatus.SUCCEEDED)
    Pipeline.objects.update(status=RunStatus.SUCCEEDED)
    again(schedule)
    triggers.fire_by_time(schedule_id=schedule.pk)
    assert (
        newest_firing(schedule).outcome == FiringOutcome.SKIPPED
        and "No gold has settled" in newest_firing(schedule).note
    )
    assert Pipeline.objects.count() == 1


def test_gold_whose_training_failed_still_counts_as_new(lead: User) -> None:
    make_much_gold(lead, 40)
    schedule = nightly(lead)
    triggers.fire_by_time(schedule_id=schedule.pk)
    cancel_pipeline(pipeline=Pipeline.objects.get())
    assert selectors.gold_to_train().count() == 40


def test_it_rests_between_two_pipelines(lead: User) -> None:
    make_much_gold(lead, 40)
    schedule = nightly(lead, min_hours=12)
    triggers.fire_by_time(schedule_id=schedule.pk)
    cancel_pipeline(pipeline=Pipeline.objects.get())
    again(schedule)
    triggers.fire_by_time(schedule_id=schedule.pk)
    assert "Less than 12 hours" in newest_firing(schedule).note
    Firing.objects.filter(outcome=FiringOutcome.STARTED).update(at=timezone.now() - timedelta(hours=13))
    again(schedule)
    triggers.fire_by_time(schedule_id=schedule.pk)
    assert newest_firing(schedule).outcome == FiringOutcome.STARTED


def test_enough_new_hard_samples_start_a_pipeline(lead: User) -> None:
    schedule = nightly(lead, trigger=Trigger.HARD_SAMPLES, cron="", hard_samples=5)
    make_much_gold(lead, 40)
    make_much_gold(lead, 4, words="Tell us of", hard=True)
    assert triggers.check_schedules() == [] and selectors.standing(schedule).words == "4 of 5 new hard samples"
    make_gold(lead, prompt="The fifth of them", hard=True)
    assert triggers.check_schedules() == [Pipeline.objects.get()]
    assert newest_firing(schedule).why == "5 of 5 new hard samples"
    assert triggers.check_schedules() == [] and selectors.new_hard_samples() == 0


def test_a_drop_of_agreement_starts_a_pipeline(lead: User) -> None:
    schedule = nightly(lead, trigger=Trigger.AGREEMENT, cron="", agreement_below=0.8, agreement_window=20)
    for number in range(20):  # the guard says "harmful" of every item
        make_gold(lead, prompt=f"Older subject {number} of its own", label="harmful", settled_ago=7200)
    assert triggers.check_schedules() == [] and not selectors.standing(schedule).met
    for number in range(10):
        make_gold(lead, prompt=f"Newer matter {number * 7} to judge", label="unharmful", settled_ago=60)
    assert selectors.agreement(20).share == 0.5
    assert len(triggers.check_schedules()) == 1
    assert "50.0%" in newest_firing(schedule).why and "bound 80.0%" in newest_firing(schedule).why


def test_too_few_gold_labels_say_nothing_of_agreement(lead: User) -> None:
    schedule = nightly(lead, trigger=Trigger.AGREEMENT, cron="", agreement_below=0.9, agreement_window=50)
    make_much_gold(lead, 40)
    assert not selectors.standing(schedule).met and triggers.check_schedules() == []


def test_agreement_is_that_of_the_version_in_production(lead: User) -> None:
    make_much_gold(lead, 10)
    assert selectors.agreement(10) == selectors.Agreement(10, 5)
    ModelVersion.objects.update(status=VersionStatus.RETIRED)
    ModelVersion.objects.create(name="newer", checkpoint="nowhere", status=VersionStatus.PRODUCTION)
    assert selectors.agreement(10).labels == 0


def test_a_condition_that_cannot_start_waits_before_it_is_tried_again(lead: User) -> None:
    schedule = nightly(lead, trigger=Trigger.HARD_SAMPLES, cron="", hard_samples=2)
    make_much_gold(lead, 3, hard=True)
    triggers.check_schedules()
    triggers.check_schedules()
    assert [firing.outcome for firing in selectors.firings(schedule)] == [FiringOutcome.FAILED]


def test_a_schedule_that_is_switched_off_starts_nothing_unless_a_person_asks(lead: User) -> None:
    make_much_gold(lead, 40, hard=True)
    by_count = nightly(lead, name="hard", trigger=Trigger.HARD_SAMPLES, cron="", hard_samples=2, enabled=False)
    by_time = nightly(lead, enabled=False)
    assert triggers.check_schedules() == [] and triggers.fire_by_time(schedule_id=by_time.pk) is None
    firing = triggers.fire_now(schedule=by_count, asked_by="lead")
    assert firing is not None and firing.pipeline is not None and firing.why == "lead asked for it"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"trigger": "moon"}, "trigger"),
        ({"recipe": "stew"}, "recipe"),
        ({"cron": "0 3 * *"}, "cron"),
        ({"cron": "0 25 * * *"}, "cron"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"hard_samples": 0}, "hard_samples"),
        ({"agreement_below": 1.5}, "agreement_below"),
        ({"agreement_window": 0}, "agreement_window"),
        ({"min_hours": -1}, "min_hours"),
        ({"overrides": {"sft": {"epoch": 1}}}, "overrides"),
        ({"overrides": {"dpo": {}}}, "overrides"),
        ({"launch": {"processes": 2}}, "launch"),
    ],
)
def test_a_field_that_cannot_be_is_named(lead: User, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ScheduleNotValid) as caught:
        nightly(lead, **changes)
    assert caught.value.field == field and not RetrainSchedule.objects.exists()


def test_changing_and_removing_a_schedule_takes_beats_row_along(lead: User) -> None:
    schedule = nightly(lead)
    changed = save_schedule(
        given=ScheduleInput("weekly", Trigger.CRON, "starter-sft", cron="0 4 * * 1"), person=lead, schedule=schedule
    )
    assert changed.pk == schedule.pk and CrontabSchedule.objects.get().hour == "4"
    with pytest.raises(ScheduleNameTaken):
        nightly(lead, name="weekly")
    save_schedule(given=ScheduleInput("counted", Trigger.HARD_SAMPLES, "starter-sft"), person=lead, schedule=schedule)
    assert not PeriodicTask.objects.exists() and not CrontabSchedule.objects.exists()
    save_schedule(
        given=ScheduleInput("weekly", Trigger.CRON, "starter-sft", cron="0 4 * * 1"), person=lead, schedule=schedule
    )
    delete_schedule(schedule=schedule)
    assert not PeriodicTask.objects.exists() and not RetrainSchedule.objects.exists()


def test_the_first_training_counts_all_gold() -> None:
    assert selectors.trained_until() == datetime.min.replace(tzinfo=UTC)
