"""The run page: what it draws, polls, warns of, lets read and download."""

import json
from dataclasses import asdict
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import User
from annotation.status import Role
from tests.factories import make_user, production
from tests.training.rows import make_snapshot
from tests.training.run_files import grpo_line, write_grpo, write_lines, write_mined
from training.contract import ENVIRONMENT, LOG, METRICS, PROGRESS
from training.files import directory_of
from training.models import Pipeline, TrainingRun
from training.progress.metrics_file import CURVE_POINTS
from training.recipes import DEFAULT, config_for, places_of
from training.runs.pipelines import request_pipeline
from training.status import RunKind, RunStatus

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead() -> User:
    return make_user(Role.LEAD)


@pytest.fixture
def page(client: Client, lead: User) -> Client:
    client.force_login(lead)
    return client


def running(lead: User, kind: RunKind = RunKind.SFT) -> TrainingRun:
    run = TrainingRun.objects.create(
        name=f"{kind}-run",
        kind=kind,
        recipe=DEFAULT,
        snapshot=make_snapshot(40),
        base_version=production(),
        requested_by=lead,
        status=RunStatus.RUNNING,
        started_at=timezone.now(),
        config=asdict(config_for(DEFAULT, kind, places=dict.fromkeys(places_of(kind), "somewhere"), overrides={})),
    )
    directory_of(run).mkdir(parents=True)
    return run


def state_of(page: Client, run: TrainingRun, cursor: int = 0) -> dict[str, Any]:
    answer: dict[str, Any] = page.get(reverse("training:run_state", args=[run.pk]), {"cursor": cursor}).json()
    return answer


def test_the_run_page_polls_progress_curve_and_log(page: Client, lead: User) -> None:
    run = running(lead)
    run_dir = directory_of(run)
    (run_dir / PROGRESS).write_text(json.dumps({"stage": "training", "done": 30, "total": 120, "eta_s": 95.0}))
    lines = [{"step": step, "epoch": step / 10, "loss": 3.0 / step, "lr": 1e-4} for step in (1, 2, 3, 2)]
    (run_dir / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 4, "lo')
    (run_dir / LOG).write_text("step 3 of 120\n")
    state = state_of(page, run)
    assert (state["stage"], state["share"], state["eta"], state["settled"]) == ("Training", 25, "1 min 35 s", False)
    assert [row[0] for row in state["rows"]] == [1, 2, 3] and "step 3 of 120" in state["log"]
    assert state["heartbeat"].startswith("Last sign of life ") and not state["quiet"]
    assert b"step 3 of 120" in page.get(reverse("training:run", args=[run.pk])).content


def test_only_new_points_are_sent_and_never_more_than_a_chart_shows(page: Client, lead: User) -> None:
    run = running(lead, RunKind.GRPO)
    write_grpo(directory_of(run), 2_000, 5_000)
    first = state_of(page, run)
    assert len(first["rows"]) == CURVE_POINTS and first["rows"][-1][0] == 2_000
    assert state_of(page, run, first["cursor"])["rows"] == []
    with (directory_of(run) / METRICS).open("a") as metrics:
        metrics.write(json.dumps(grpo_line(2_001, 5_000)) + "\n")
    assert [row[0] for row in state_of(page, run, first["cursor"])["rows"]] == [2_001]


def test_what_json_cannot_say_does_not_break_the_page(page: Client, lead: User) -> None:
    run = running(lead)
    write_lines(directory_of(run) / METRICS, [{"step": 1, "loss": float("nan"), "lr": 1e-4}])
    state = state_of(page, run)
    assert state["rows"][0][:3] == [1, None, 1e-4] and state["hazards"] == ["not_finite"]


def test_a_grpo_run_shows_every_figure_with_its_table_and_file(page: Client, lead: User) -> None:
    run = running(lead, RunKind.GRPO)
    write_grpo(directory_of(run), 30)
    content = page.get(reverse("training:run", args=[run.pk])).text
    for field in (
        "reward",
        "reward_format",
        "pass_rate",
        "clip_high",
        "clip_fraction",
        "completion_tokens",
        "entropy",
        "parse_failure_rate",
        "lr",
        "loss",
        "saturated_wrong",
    ):
        assert f'data-field="{field}"' in content
    table = page.get(reverse("training:chart_csv", args=[run.pk, "clip_range"])).text.splitlines()
    assert table[0] == "step,clip_high,clip_low" and table[-1] == "30,0.2,0.2" and len(table) == 31
    assert len(page.get(reverse("training:metrics_csv", args=[run.pk])).text.splitlines()) == 31
    file = page.get(reverse("training:metrics_file", args=[run.pk]))
    assert len(b"".join(file.streaming_content).splitlines()) == 30  # type: ignore[attr-defined]
    events = page.get(reverse("training:metrics_events", args=[run.pk]))
    assert "tfevents" in events["Content-Disposition"] and b"clip_fraction" in b"".join(events.streaming_content)  # type: ignore[attr-defined]
    assert page.get(reverse("training:chart_csv", args=[run.pk, "nothing"])).status_code == 404


def test_a_run_that_logged_nothing_has_no_files_and_says_so(page: Client, lead: User) -> None:
    run = running(lead)
    for name in ("metrics_file", "metrics_events"):
        assert page.get(reverse(f"training:{name}", args=[run.pk])).status_code == 404
    assert "The charts start with the first logged step" in page.get(reverse("training:run", args=[run.pk])).text


def test_a_pipeline_shows_its_stages_and_starts_again_as_a_whole(
    page: Client, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.pages.refusals.ring", lambda task: True)
    pipeline = request_pipeline(snapshot=make_snapshot(40), base_version=production(), requested_by=lead)
    sft, mine, _ = pipeline.runs.order_by("id")
    content = page.get(reverse("training:run", args=[mine.pk])).text
    assert "Mining, this run" in content and f'Waits for <a href="{reverse("training:run", args=[sft.pk])}">' in content
    answer = page.post(reverse("training:clone_pipeline", args=[mine.pk]))
    again = Pipeline.objects.latest("id")
    assert again.cloned_from == pipeline and answer["Location"] == reverse(
        "training:run", args=[again.runs.order_by("id")[0].pk]
    )
    assert page.post(reverse("training:clone_pipeline", args=[running(lead).pk])).status_code == 404


def test_hazards_stand_on_the_page_with_what_to_do(page: Client, lead: User) -> None:
    run = running(lead, RunKind.GRPO)
    write_grpo(directory_of(run), 30, advantage_max_share=0.95)
    assert state_of(page, run)["hazards"] == ["one_row_dominates"]
    for name in ("run", "hazards"):
        content = page.get(reverse(f"training:{name}", args=[run.pk])).text
        assert "One completion decides its whole group" in content and "use vl-eco" in content


def test_rollouts_are_read_step_by_step_and_page_by_page(page: Client, lead: User) -> None:
    run = running(lead, RunKind.GRPO)
    write_grpo(directory_of(run), 30)
    address = reverse("training:rollouts", args=[run.pk])
    newest = page.get(address)
    assert newest.context["rollouts"].step == 30 and newest.context["rollouts"].steps == (10, 20, 30)
    assert (
        len(newest.context["rollouts"].groups) == 8
        and "open lock number 0" in newest.text
        and "advantage" in newest.text
    )
    second = page.get(address, {"step": 10, "page": 2}).context["rollouts"]
    assert [group.row_id for group in second.groups] == ["row-8", "row-9"] and not second.more and second.after == 20
    [right, wrong] = sorted(
        {completion.right for group in second.groups for completion in group.completions}, reverse=True
    )
    assert right and not wrong
    assert page.get(address, {"step": "x"}).status_code == 200
    assert "<html" not in page.get(address, headers={"HX-Request": "true"}).text


def test_minings_rollouts_say_right_reused_and_kept(page: Client, lead: User) -> None:
    run = running(lead, RunKind.MINE)
    write_mined(directory_of(run), 20)
    shown = page.get(reverse("training:rollouts", args=[run.pk]), {"page": 3})
    assert [group.row_id for group in shown.context["rollouts"].groups] == [f"row-{n}" for n in range(16, 20)]
    assert "used again" in shown.text and "did not parse" in shown.text and "2 of 4 right" in shown.text
    assert page.get(reverse("training:run", args=[run.pk])).status_code == 200


def test_a_run_without_rollouts_has_none_to_read(page: Client, lead: User) -> None:
    assert page.get(reverse("training:rollouts", args=[running(lead).pk])).status_code == 404


def test_settings_environment_and_disk_stand_on_the_page(page: Client, lead: User) -> None:
    run = running(lead)
    run_dir = directory_of(run)
    (run_dir / ENVIRONMENT).write_text(
        json.dumps(
            {
                "devices": ["cpu"],
                "processes": 1,
                "cpus": 2,
                "threads": 1,
                "system": "Linux",
                "python": "3.11",
                "packages": {"trl": "1.16.0"},
            }
        )
    )
    (run_dir / "checkpoints").mkdir()
    (run_dir / "checkpoints" / "weights").write_bytes(b"0" * 2_000_000)
    content = page.get(reverse("training:run", args=[run.pk])).text
    assert "1.16.0" in content and "1.9\xa0MB of it checkpoints" in content and "ours, for two CPU cores" in content
