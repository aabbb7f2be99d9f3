"""A lead starts training from the pages: real jobs on the starter guard, a recipe as TOML, a schedule."""

import re

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from annotation.models import ModelVersion
from annotation.predictions.loaded_engine import STARTER
from tests.browser.training_page import sign_in, wait_for_points
from tests.factories import production
from tests.training.rows import make_snapshot
from training.models import RetrainSchedule, TrainingRun
from training.runs.execute import execute_next
from training.runs.job_process import Limits
from training.status import RunKind, RunStatus

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200), pytest.mark.django_db(transaction=True)]
LIMITS = Limits(poll=0.2, cancel=30, kill=5, hung=600)


@pytest.fixture(autouse=True)
def no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.pages.refusals.ring", lambda task: True)


def start(page: Page, stage: str, what: str, mined_from: str = "", **settings: str) -> TrainingRun:
    """Fill in the settings of one stage, start it alone, and let its job run to its end while the page is open."""
    page.goto(reverse("training:recipe_edit"))
    form = page.locator("details.stage").filter(has=page.locator("h3", has_text=re.compile(f"^{stage}$")))
    if form.get_attribute("open") is None:
        form.locator("summary").click()
    for name, value in settings.items():
        form.locator(f"[name$='-{name}']").fill(value)
    page.get_by_label("What").select_option(label=what)
    if mined_from:
        page.get_by_label("Rows of a mining").select_option(label=mined_from)
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#run-status")).to_contain_text("Queued")
    assert execute_next(limits=LIMITS)
    run = TrainingRun.objects.latest("id")
    assert run.status == RunStatus.SUCCEEDED, run.error
    expect(page.locator("#run-status")).to_contain_text("Succeeded", timeout=30_000)
    return run


@pytest.mark.slow
def test_mining_and_grpo_start_from_the_page_and_their_charts_fill(page: Page, live_server: LiveServer) -> None:
    sign_in(page)
    ModelVersion.objects.filter(pk=production().pk).update(checkpoint=STARTER)
    make_snapshot(40)

    mining = start(page, "Mining", "Mining", rollouts="2", max_new_tokens="64")
    assert mining.kind == RunKind.MINE
    wait_for_points(page, "pass_rate", 1, 400)
    expect(page.locator("[data-field=pass_rate] output")).not_to_be_empty()
    expect(page.locator("#rollouts")).to_contain_text("of 2 right")

    grpo = start(
        page,
        "GRPO",
        "GRPO",
        mining.name,
        group_size="2",
        prompts_per_batch="2",
        update_batch="4",
        micro_batch="4",
        max_steps="2",
        max_new_tokens="64",
    )
    assert grpo.mined_from == mining
    for chart in ("reward", "parts", "clip_range", "entropy", "length"):
        page.locator(f"[data-chart={chart}]").scroll_into_view_if_needed()
        wait_for_points(page, chart, 2, 2)
    expect(page.locator("[data-field=clip_high] output")).to_have_text("0.2")
    expect(page.locator("#rollouts")).to_contain_text("advantage")
    expect(page.locator(".settings")).to_contain_text("set for this run")
    expect(page.get_by_role("link", name="Compare and promote")).to_be_visible()


def test_what_is_wrong_in_toml_is_named_with_its_line(page: Page, live_server: LiveServer) -> None:
    sign_in(page)
    production()
    make_snapshot(40)
    page.goto(reverse("training:recipe_edit") + "?preset=omni-v1")
    page.get_by_role("button", name="As TOML").click()
    recipe = page.get_by_label("Recipe", exact=True)
    expect(recipe).to_have_value(re.compile(r"clip_high = 0\.3  # GuardReasoner-Omni"))
    recipe.fill(recipe.input_value().replace("clip_high = 0.3", "clip_high = 'wide'"))
    page.get_by_role("button", name="As a form").click()
    expect(page.get_by_role("alert")).to_contain_text(
        re.compile(r"Line \d+, \[grpo\]: clip_high='wide' is not a number")
    )
    recipe.fill(recipe.input_value().replace("'wide'", "0.28"))
    page.get_by_role("button", name="As a form").click()
    expect(page.locator("#grpo-clip_high")).to_have_value("0.28")
    expect(page.locator("#grpo-clip_high-about")).to_contain_text("preset 0.3")


def test_a_schedule_is_made_with_the_keyboard(page: Page, live_server: LiveServer) -> None:
    sign_in(page)
    page.goto(reverse("training:schedule_new"))
    page.get_by_label("Name").focus()
    page.keyboard.type("Hard ones")
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Time", exact=True)).to_be_hidden()
    page.keyboard.press("Tab")
    expect(page.get_by_label("New hard samples")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("25")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Hard ones")).to_be_visible()
    expect(page.get_by_text("0 of 25 new hard samples")).to_be_visible()
    schedule = RetrainSchedule.objects.get()
    assert (schedule.trigger, schedule.hard_samples) == ("hard_samples", 25)
    page.get_by_role("button", name="Switch Hard ones off").click()
    expect(page.get_by_role("button", name="Switch Hard ones on")).to_be_visible()
