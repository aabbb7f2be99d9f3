"""Pipelines: fine-tuning, mining, GRPO or DPO, evaluation; each run from what the one before made."""

import json
from typing import Any

import pytest

from annotation.models import User
from annotation.status import Role, VersionStatus
from tests.factories import make_user, production
from tests.training.rows import make_snapshot
from training.contract import RESULT, ROWS
from training.errors import (
    AskedAlready,
    MinedRowsDamaged,
    NoProduction,
    NotATraining,
    PredecessorEnded,
    RunNotCancellable,
    StagesNotUsable,
)
from training.files import directory_of
from training.models import DatasetSnapshot, Evaluation, Pipeline, TrainingRun
from training.recipes import RECIPES, SettingUnknown, from_toml
from training.recipes.launch import LaunchNotUsable
from training.runs.execute import RUNS, claim, execute_next
from training.runs.idempotency import once
from training.runs.pipelines import cancel_pipeline, clone_pipeline, request_pipeline, stages_of
from training.runs.request import cancel_run, clone_run, request_run, resume_run
from training.runs.retrain import retrain, retrain_in_stages
from training.status import RunKind, RunStatus

pytestmark = pytest.mark.django_db


@pytest.fixture
def snapshot() -> DatasetSnapshot:
    production("somewhere")
    return make_snapshot(40)


def asked(snapshot: DatasetSnapshot, **fields: Any) -> Pipeline:
    return request_pipeline(snapshot=snapshot, base_version=production(), requested_by=snapshot.created_by, **fields)


def runs_of(pipeline: Pipeline) -> list[TrainingRun]:
    return list(pipeline.runs.select_related("base_version", "version", "after", "mined_from").order_by("id"))


def end_next(*, kept: int = 3) -> TrainingRun:
    """Do the next run as if its job had run: result and what it leaves behind are there already."""
    run = TrainingRun.objects.filter(RUNS.ready, status=RunStatus.QUEUED).order_by("id")[0]
    run_dir = directory_of(run)
    (run_dir / "model").mkdir(parents=True)
    if run.kind == RunKind.MINE:
        (run_dir / ROWS).write_text("".join(f'{{"id": "{number}"}}\n' for number in range(kept)))
        (run_dir / RESULT).write_text(json.dumps({"rows": 30, "kept": kept, "pass_rate": 0.7}))
    else:
        (run_dir / RESULT).write_text('{"steps": 1, "train_rows": 30}')
    while Evaluation.objects.filter(status=RunStatus.QUEUED).exists():
        Evaluation.objects.update(status=RunStatus.SUCCEEDED)
    execute_next()
    run.refresh_from_db()
    return run


def status_of(pipeline: Pipeline) -> str:
    pipeline.refresh_from_db()
    return pipeline.status


def test_each_stage_starts_from_what_the_one_before_made(snapshot: DatasetSnapshot) -> None:
    pipeline = asked(snapshot, overrides={"grpo": {"max_steps": 3}}, launch={"processes": 2, "strategy": "ddp"})
    sft, mine, grpo = runs_of(pipeline)
    assert [run.kind for run in (sft, mine, grpo)] == ["sft", "mine", "grpo"] and {
        run.pipeline for run in (sft, mine, grpo)
    } == {pipeline}
    assert (sft.after, mine.after, grpo.after, grpo.mined_from) == (None, sft, mine, mine)
    assert grpo.config["max_steps"] == 3 and grpo.config["dataset"] == str(directory_of(mine) / ROWS)
    assert (sft.launch, mine.launch) == ({"processes": 2, "strategy": "ddp"}, {})
    TrainingRun.objects.update(launch={})
    assert status_of(pipeline) == RunStatus.QUEUED

    end_next()
    sft, mine, grpo = runs_of(pipeline)
    assert sft.status == RunStatus.SUCCEEDED, sft.error
    assert sft.version is not None and sft.version.status == VersionStatus.CANDIDATE
    assert mine.base_version == grpo.base_version == sft.version
    assert not Evaluation.objects.exists() and status_of(pipeline) == RunStatus.RUNNING

    mined = end_next()
    assert (
        mined.kind == RunKind.MINE
        and mined.version is None
        and mined.result["kept"] == 3
        and len(mined.rows_sha256) == 64
    )
    assert mined.config["model"].endswith(sft.name) and mined.config["version"] == sft.name

    last = end_next()
    assert last.status == RunStatus.SUCCEEDED and last.version is not None and last.version.parent == sft.version
    assert last.config["base_model"].endswith(sft.name) and f"the rows that {mined} kept" in last.version.description
    assert status_of(pipeline) == RunStatus.SUCCEEDED and pipeline.finished_at is not None
    assert {evaluation.version for evaluation in Evaluation.objects.all()} == {last.version, production()}
    assert production().name == "starter"


def test_a_run_is_not_claimed_before_the_one_it_waits_for(snapshot: DatasetSnapshot) -> None:
    pipeline = asked(snapshot)
    assert claim(RUNS) == runs_of(pipeline)[0] and claim(RUNS) is None
    assert status_of(pipeline) == RunStatus.RUNNING


def test_a_failed_run_takes_its_followers_along_and_resuming_brings_them_back(snapshot: DatasetSnapshot) -> None:
    pipeline = asked(snapshot)
    end_next()
    TrainingRun.objects.filter(kind=RunKind.MINE).update(attempts=99)
    execute_next()
    sft, mine, grpo = runs_of(pipeline)
    assert (sft.status, mine.status, grpo.status) == (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)
    assert f"{mine.name}, which this run waited for, failed" in grpo.error and status_of(pipeline) == RunStatus.FAILED
    with pytest.raises(PredecessorEnded):
        resume_run(run=grpo)
    resume_run(run=mine)
    assert [run.status for run in runs_of(pipeline)] == [RunStatus.SUCCEEDED, RunStatus.QUEUED, RunStatus.QUEUED]
    assert status_of(pipeline) == RunStatus.RUNNING and pipeline.finished_at is None


def test_what_a_person_cancelled_is_not_brought_back(snapshot: DatasetSnapshot) -> None:
    pipeline = asked(snapshot)
    sft, _, grpo = runs_of(pipeline)
    cancel_run(run=grpo)
    cancel_run(run=sft)
    assert [run.status for run in runs_of(pipeline)] == [RunStatus.CANCELLED] * 3
    resume_run(run=sft)
    assert [run.status for run in runs_of(pipeline)] == [RunStatus.QUEUED, RunStatus.QUEUED, RunStatus.CANCELLED]


def test_a_cancelled_pipeline_has_no_runs_left(snapshot: DatasetSnapshot) -> None:
    pipeline = asked(snapshot)
    cancel_pipeline(pipeline=pipeline)
    assert status_of(pipeline) == RunStatus.CANCELLED and claim(RUNS) is None
    with pytest.raises(RunNotCancellable):
        cancel_pipeline(pipeline=pipeline)


def test_where_mining_keeps_nothing_the_fine_tuned_version_is_the_end(snapshot: DatasetSnapshot) -> None:
    pipeline = asked(snapshot)
    sft = end_next()
    end_next(kept=0)
    grpo = runs_of(pipeline)[2]
    assert grpo.status == RunStatus.CANCELLED and "kept no row" in grpo.error
    assert {evaluation.version for evaluation in Evaluation.objects.all()} == {sft.version, production()}


def test_mined_rows_that_were_changed_are_not_trained_on(snapshot: DatasetSnapshot) -> None:
    asked(snapshot)
    end_next()
    rows = directory_of(end_next()) / ROWS
    rows.chmod(0o644)
    rows.write_text("{}\n")
    grpo = end_next()
    assert (grpo.status, grpo.error) == (RunStatus.FAILED, str(MinedRowsDamaged()))


def test_hard_sample_dpo_mines_and_prefers(snapshot: DatasetSnapshot) -> None:
    assert stages_of(RECIPES["hs-dpo"]) == ("mine", "dpo")
    pipeline = asked(snapshot, recipe="starter-sft", stages=("sft", "mine", "dpo"))
    assert [run.kind for run in runs_of(pipeline)] == ["sft", "mine", "dpo"]


@pytest.mark.parametrize(
    "stages",
    [
        ("sft",),
        ("mine", "sft"),
        ("sft", "mine"),
        ("sft", "dpo"),
        ("sft", "mine", "grpo", "dpo"),
        ("sft", "sft"),
        ("sft", "distil"),
    ],
)
def test_stages_that_make_no_sense_are_refused(snapshot: DatasetSnapshot, stages: tuple[str, ...]) -> None:
    with pytest.raises(StagesNotUsable):
        asked(snapshot, stages=stages)


def test_a_setting_that_is_wrong_queues_nothing(snapshot: DatasetSnapshot) -> None:
    for fields, error in (
        ({"overrides": {"grpo": {"group": 8}}}, SettingUnknown),
        ({"overrides": {"dpo": {}}}, StagesNotUsable),
        ({"launch": {"processes": 4}}, LaunchNotUsable),
    ):
        with pytest.raises(error):
            asked(snapshot, **fields)
    assert not TrainingRun.objects.exists() and not Pipeline.objects.exists()


def test_a_pipeline_is_copied_with_its_settings(snapshot: DatasetSnapshot) -> None:
    first = asked(snapshot, overrides={"sft": {"epochs": 2}, "grpo": {"max_steps": 7}})
    copy = clone_pipeline(pipeline=first, requested_by=make_user(Role.LEAD), overrides={"grpo": {"seed": 3}})
    configs = [run.config for run in runs_of(copy)]
    assert (
        copy.cloned_from == first
        and configs[0]["epochs"] == 2
        and (configs[2]["max_steps"], configs[2]["seed"]) == (7, 3)
    )
    assert [run.mined_from_id for run in runs_of(copy)] == [None, None, runs_of(copy)[1].pk]


def test_an_edited_recipe_is_kept_with_its_runs(snapshot: DatasetSnapshot) -> None:
    recipe = from_toml('preset = "starter-sft"\nname = "mine-own"\n[sft]\nepochs = 3\n')
    pipeline = asked(snapshot, recipe=recipe, overrides={"sft": {"seed": 5}})
    kept = from_toml(runs_of(pipeline)[0].recipe_text)
    assert (kept.name, kept.values("sft")["epochs"], kept.values("sft")["seed"]) == ("mine-own", 3.0, 5)
    assert runs_of(clone_pipeline(pipeline=pipeline, requested_by=pipeline.requested_by))[0].config["epochs"] == 3.0


def test_a_single_run_of_each_kind(snapshot: DatasetSnapshot) -> None:
    lead, base = snapshot.created_by, production()
    mine = request_run(
        snapshot=snapshot, base_version=base, requested_by=lead, kind=RunKind.MINE, overrides={"rollouts": 2}
    )
    with pytest.raises(NotATraining, match="has not ended"):
        request_run(snapshot=snapshot, base_version=base, requested_by=lead, kind=RunKind.DPO, mined_from=mine)
    with pytest.raises(NotATraining, match="choose the mining"):
        request_run(snapshot=snapshot, base_version=base, requested_by=lead, kind=RunKind.DPO)
    end_next()
    mine.refresh_from_db()
    dpo = request_run(snapshot=snapshot, base_version=base, requested_by=lead, kind=RunKind.DPO, mined_from=mine)
    with pytest.raises(NotATraining, match="is not a mining"):
        request_run(snapshot=snapshot, base_version=base, requested_by=lead, kind=RunKind.GRPO, mined_from=dpo)
    grpo = request_run(snapshot=snapshot, base_version=base, requested_by=lead, kind=RunKind.GRPO)
    assert grpo.config["dataset"].endswith(snapshot.path) and dpo.config["dataset"].endswith(ROWS)
    copy = clone_run(run=dpo, requested_by=lead, overrides={"beta": 0.5})
    assert (copy.kind, copy.mined_from, copy.config["beta"], copy.cloned_from) == (RunKind.DPO, mine, 0.5, dpo)


def test_a_second_press_starts_nothing_more(snapshot: DatasetSnapshot) -> None:
    lead = snapshot.created_by
    first = retrain(requested_by=lead, key="form-1")
    assert retrain(requested_by=lead, key="form-1") == first and TrainingRun.objects.count() == 1
    assert DatasetSnapshot.objects.count() == 2
    whole = retrain_in_stages(requested_by=lead, key="form-2")
    assert retrain_in_stages(requested_by=lead, key="form-2") == whole and Pipeline.objects.count() == 1
    with pytest.raises(AskedAlready):
        retrain(requested_by=lead, key="form-2")


def test_a_press_while_the_first_is_at_work_says_so(snapshot: DatasetSnapshot) -> None:
    def make() -> TrainingRun:
        with pytest.raises(AskedAlready):
            retrain(requested_by=snapshot.created_by, key="form-1")
        return request_run(snapshot=snapshot, base_version=production(), requested_by=snapshot.created_by)

    once(key="form-1", kind=TrainingRun, make=make)
    assert TrainingRun.objects.count() == 1


def test_a_form_that_was_refused_may_be_sent_again(snapshot: DatasetSnapshot) -> None:
    with pytest.raises(SettingUnknown):
        retrain(requested_by=snapshot.created_by, key="form-1", overrides={"epoch": 1})
    assert DatasetSnapshot.objects.count() == 1
    assert retrain(requested_by=snapshot.created_by, key="form-1", overrides={"epochs": 1}).config["epochs"] == 1


def test_production_is_needed_to_retrain() -> None:
    lead: User = make_user(Role.LEAD)
    with pytest.raises(NoProduction):
        retrain_in_stages(requested_by=lead)
