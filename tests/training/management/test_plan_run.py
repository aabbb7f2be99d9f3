"""The commands that plan a run and export its metrics."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.factories import production
from tests.training.plan.test_plan import serving, succeeded
from tests.training.rows import make_snapshot
from training.contract import METRICS
from training.files import directory_of
from training.models import DatasetSnapshot


@pytest.fixture
def snapshot() -> DatasetSnapshot:
    return make_snapshot(40)


@pytest.mark.django_db
def test_the_command_prints_the_plan(snapshot: DatasetSnapshot, tiny: Path, tmp_path: Path) -> None:
    serving(tiny)
    out = StringIO()
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('preset = "omni-v2"\n[sft]\nepochs = 2.0\n')
    call_command("plan_run", "--toml", str(recipe), "--stages", "sft", "mine", "--snapshot", snapshot.name, stdout=out)
    text = out.getvalue()
    assert "Supervised fine-tuning (sft), 1 process(es), none" in text and "Mining (mine)" in text
    assert "steps: 2;" in text and "GiB on each device" in text and "In all: not known" in text
    call_command("plan_run", "--processes", "2", "--strategy", "ddp", "--stages", "sft", stdout=out)
    assert "2 process(es), ddp" in out.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--recipe", "omni"], "'omni' is not one of"),
        (["--snapshot", "none"], "--snapshot: there is none"),
        (["--base", "none"], "--base: there is none"),
        (["--toml", "/nowhere.toml"], "--toml: "),
        (["--processes", "2"], "strategy='none' with processes=2"),
        (["--recipe", "hs-dpo", "--stages", "sft"], "has no stage 'sft'"),
    ],
)
def test_the_command_says_what_cannot_be_planned(snapshot: DatasetSnapshot, arguments: list[str], said: str) -> None:
    production("nowhere")
    with pytest.raises(CommandError, match=said):
        call_command("plan_run", *arguments)


@pytest.mark.django_db
def test_a_runs_metrics_are_exported_for_tensorboard(snapshot: DatasetSnapshot, tmp_path: Path) -> None:
    run = succeeded(snapshot, production("nowhere"))
    with pytest.raises(CommandError, match="has no metrics yet"):
        call_command("export_metrics", run.name, "--to", str(tmp_path))
    directory_of(run).mkdir(parents=True, exist_ok=True)
    (directory_of(run) / METRICS).write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n')
    out = StringIO()
    call_command("export_metrics", run.name, "--to", str(tmp_path), stdout=out)
    assert ": 2 steps" in out.getvalue() and list((tmp_path / run.name).glob("events.out.tfevents.*"))
    with pytest.raises(CommandError, match="no run with the name 'r0'"):
        call_command("export_metrics", "r0")
