"""The run page in a real Chromium: the charts grow while the job writes, and the page notices warnings and the end."""

import json

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from tests.browser.scene_training import make_run
from tests.browser.training_page import sign_in, wait_for_points
from tests.training.rows import make_snapshot
from tests.training.run_files import write_grpo, write_lines
from training.contract import METRICS, PROGRESS
from training.files import directory_of
from training.models import TrainingRun
from training.status import RunKind, RunStatus

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_loss_curve_is_live_and_the_end_shows_without_a_reload_by_hand(page: Page, live_server: LiveServer) -> None:
    run = make_run(sign_in(page), make_snapshot(40), RunKind.SFT)
    run_dir = directory_of(run)

    def write(steps: int) -> None:
        write_lines(
            run_dir / METRICS,
            ({"step": step, "epoch": step / 10, "loss": 2 / step, "lr": 1e-4} for step in range(1, steps + 1)),
        )
        (run_dir / PROGRESS).write_text(json.dumps({"stage": "training", "done": steps, "total": 40, "eta_s": 30.0}))

    page.goto(reverse("training:run", args=[run.pk]))
    expect(page.locator("#charts-empty")).to_be_visible()
    write(5)
    expect(page.locator("#run-done")).to_have_text("5 of 40")
    expect(page.locator("#charts-empty")).to_be_hidden()
    page.locator("[data-table=loss] summary").click()
    expect(page.locator("[data-table=loss] tbody tr")).to_have_count(5)

    write(20)
    expect(page.locator("[data-table=loss] tbody tr")).to_have_count(20)
    wait_for_points(page, "loss", 20, 20)
    expect(page.locator("[data-field=loss] output")).to_have_text("0.1")
    expect(page.locator("#run-eta")).to_have_text("About 30 s left in this stage.")
    expect(page.locator("#run-heartbeat")).to_contain_text("Last sign of life")

    TrainingRun.objects.filter(pk=run.pk).update(
        status=RunStatus.FAILED, error="The disk is full", finished_at=timezone.now()
    )
    expect(page.get_by_role("alert")).to_contain_text("The disk is full")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()


def test_a_long_grpo_run_keeps_few_points_one_chart_a_canvas_and_shows_a_warning_when_it_comes(
    page: Page, live_server: LiveServer
) -> None:
    run = make_run(sign_in(page), make_snapshot(40), RunKind.GRPO)
    write_grpo(directory_of(run), 390, 1_000)
    page.goto(reverse("training:run", args=[run.pk]))
    wait_for_points(page, "reward", 390, 390)
    expect(page.locator("[data-hazard]")).to_have_count(0)

    write_grpo(directory_of(run), 420, 1_000, advantage_max_share=0.95)
    expect(page.locator("[data-hazard=one_row_dominates]")).to_contain_text("use vl-eco")
    wait_for_points(page, "reward", 200, 389)
    expect(page.locator("[data-field=reward] output")).to_have_text("0.568")
    page.locator("[data-chart=rollout_speed]").scroll_into_view_if_needed()
    wait_for_points(page, "rollout_speed", 200, 400)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert page.evaluate("Object.keys(window.Chart.instances).length") <= page.locator("[data-chart]").count()

    page.get_by_role("link", name="Newest").click()
    expect(page.locator("#rollout-step")).to_have_value("420")
    page.get_by_role("link", name="Step 410").click()
    expect(page.locator("#rollout-step")).to_have_value("410")
    page.get_by_role("link", name="More rows").click()
    expect(page.locator("#rollouts")).to_contain_text("open lock number 9")
