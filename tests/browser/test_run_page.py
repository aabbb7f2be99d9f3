"""The run page in a real Chromium: the curve grows while the job writes, and the page notices the end."""

import json
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from annotation.status import Role
from tests.factories import make_user, production
from tests.training.rows import make_snapshot
from training.contract import METRICS, PROGRESS
from training.models import TrainingRun
from training.places import directory_of
from training.services.runs import request_run
from training.status import RunStatus

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def write(run_dir: Path, steps: int) -> None:
    run_dir.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"step": step, "epoch": step / 10, "loss": 2 / step, "lr": 1e-4}) for step in range(1, steps + 1)]
    (run_dir / METRICS).write_text("\n".join(lines) + "\n")
    (run_dir / PROGRESS).write_text(json.dumps({"stage": "training", "done": steps, "total": 40, "eta_s": 30.0}))


def test_the_loss_curve_is_live_and_the_end_shows_without_a_reload_by_hand(page: Page, live_server: LiveServer) -> None:
    lead = make_user(Role.LEAD)
    run = request_run(snapshot=make_snapshot(40), base_version=production(), requested_by=lead)
    TrainingRun.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING, started_at=timezone.now())
    write(directory_of(run), 5)

    page.goto("/login/")
    page.fill("[name=username]", lead.username)
    page.fill("[name=password]", "a long test passphrase")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Training")).to_be_visible()
    page.goto(reverse("training:run", args=[run.pk]))
    expect(page.locator("#loss-rows tr")).to_have_count(5)
    expect(page.locator("#run-done")).to_have_text("5 of 40")
    expect(page.locator("#loss-empty")).to_be_hidden()

    write(directory_of(run), 20)
    page.get_by_text("The numbers").click()
    expect(page.locator("#loss-rows tr")).to_have_count(20)
    expect(page.locator("#run-eta")).to_have_text("About 30 s left in this stage.")

    TrainingRun.objects.filter(pk=run.pk).update(status=RunStatus.FAILED, error="The disk is full", finished_at=timezone.now())
    expect(page.get_by_role("alert")).to_contain_text("The disk is full")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
