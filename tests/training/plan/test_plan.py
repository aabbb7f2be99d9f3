"""The dry run: rows, steps, memory and time, compared with what the jobs do."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from annotation.models import ModelVersion
from guardapp.guard.engines.hf.checkpoint import load_model, load_processor
from tests.factories import production
from tests.guard.tiny_checkpoint import Family, build_checkpoint
from tests.training.rows import make_snapshot
from tests.training.tiny_run import metrics, mixed_rows, run_here, sft_run, write_rows
from training.contract import DpoConfig, GrpoConfig, MineConfig, SftConfig
from training.files import file_of
from training.jobs import sft
from training.learning.grpo.batches import Batches
from training.learning.heartbeat import Heartbeat
from training.learning.job_parts import lora
from training.learning.rows import Row
from training.learning.sft_data import EncodedRows
from training.models import DatasetSnapshot, TrainingRun
from training.plan import Pace, as_lines, plan, read_checkpoint
from training.plan.memory import estimate
from training.plan.pace import paces, plan_stages
from training.plan.steps import work_of
from training.recipes import Config, SettingUnknown, config_for, places_of
from training.recipes.launch import Launch
from training.runs.request import request_run
from training.status import RunStatus

NO_FILES = ("model", "data.jsonl", "media")


def with_rollouts(row: Row, *rights: bool) -> Row:
    return replace(
        row, extra={"rollouts": [{"completion": "It is harmful.", "right": right, "tokens": 5} for right in rights]}
    )


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen2_5_vl"])
def test_rows_and_tokens_are_those_that_the_job_counts(tmp_path: Path, family: Family) -> None:
    checkpoint = build_checkpoint(tmp_path / "base", family)
    rows = mixed_rows(tmp_path / "media", 12)
    rows[4] = replace(rows[4], completion=rows[4].completion * 200)
    encoded = EncodedRows.measure(load_processor(str(checkpoint)), rows, 1500, Heartbeat(tmp_path))
    assert encoded.dropped == 1
    kept_back = [replace(rows[0], split="holdout"), replace(rows[1], completion="")]
    dataset = write_rows(tmp_path / "rows.jsonl", rows + kept_back, tmp_path / "media")
    [stage] = plan(
        {"sft": SftConfig(str(checkpoint), str(dataset), str(tmp_path / "media"), cutoff_tokens=1500)}
    ).stages
    assert (stage.used, stage.dropped, stage.tokens_measured) == (11, 1, True)
    assert {
        (part.modality, part.split): (part.rows, part.used, part.dropped, part.left_out) for part in stage.rows
    } == {
        ("text", "train"): (6, 5, 1, 0),
        ("text-image", "train"): (4, 3, 0, 1),
        ("video", "train"): (3, 3, 0, 0),
        ("text", "holdout"): (1, 0, 0, 1),
    }
    assert sum(part.tokens for part in stage.rows) == pytest.approx(sum(encoded.lengths), rel=0.1)
    assert max(part.longest for part in stage.rows) == pytest.approx(max(encoded.lengths), rel=0.1)


def test_without_a_tokenizer_tokens_are_guessed_and_it_says_so(tmp_path: Path) -> None:
    dataset = write_rows(tmp_path / "rows.jsonl", mixed_rows(tmp_path / "media", 4), tmp_path / "media")
    made = plan({"sft": SftConfig("hub/some-model", str(dataset), str(tmp_path / "media"))})
    assert not made.stages[0].tokens_measured and made.stages[0].memory is None
    text = "\n".join(as_lines(made))
    assert "guessed from the length of the text" in text and "memory: not known" in text


def test_each_stage_counts_the_rows_that_it_can_learn_from(tmp_path: Path, tiny: Path) -> None:
    rows = [row for row in mixed_rows(tmp_path / "media", 8) if not row.sample.media]
    rows[0], rows[1] = with_rollouts(rows[0], True, False), with_rollouts(rows[1], False, False)
    dataset = write_rows(tmp_path / "rows.jsonl", [*rows, replace(rows[3], split="holdout")], tmp_path / "media")
    places = (str(tiny), str(dataset), str(tmp_path / "media"))
    configs: dict[str, Config] = {"mine": MineConfig(*places), "grpo": GrpoConfig(*places), "dpo": DpoConfig(*places)}
    alone = {kind: plan({kind: config}).stages[0] for kind, config in configs.items()}
    assert {kind: stage.used for kind, stage in alone.items()} == {"mine": 4, "grpo": 4, "dpo": 1}
    both = plan({"mine": MineConfig(*places), "dpo": DpoConfig(*places)})
    assert [stage.used for stage in both.stages] == [4, 4] and both.stages[1].at_most
    assert "at most" in "\n".join(as_lines(both)) and both.seconds is None


def test_of_a_large_dataset_a_part_is_measured_and_stands_for_all(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row for row in mixed_rows(tmp_path / "media", 400) if not row.sample.media]
    dataset = write_rows(tmp_path / "rows.jsonl", rows, tmp_path / "media")
    config = SftConfig(str(tiny), str(dataset), str(tmp_path / "media"))
    whole = plan({"sft": config}).stages[0].rows[0]
    monkeypatch.setattr("training.plan.counting.MEASURED_ROWS", 60)
    part = plan({"sft": config}).stages[0].rows[0]
    assert (whole.rows, part.rows, whole.used) == (200, 200, 200)
    assert part.used == pytest.approx(200, rel=0.05) and part.tokens == pytest.approx(whole.tokens, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("given", [{"epochs": 2.0, "gradient_accumulation": 3}, {"epochs": 1.5}, {"max_steps": 3}])
def test_steps_and_tokens_are_those_of_the_run(tmp_path: Path, tiny: Path, given: dict[str, Any]) -> None:
    run_dir = sft_run(tmp_path / "run", base=tiny, rows=14, **({"batch_size": 4, "cutoff_tokens": 4096} | given))
    [stage] = plan({"sft": SftConfig(**json.loads((run_dir / "config.json").read_text()))}).stages
    assert run_here(sft.main, run_dir) == 0
    assert stage.work.steps == metrics(run_dir)[-1]["step"]
    assert stage.work.amount == pytest.approx(metrics(run_dir)[-1]["tokens"], rel=0.2)


@pytest.mark.parametrize(
    ("rows", "processes", "given", "steps"),
    [
        (100, 1, {"epochs": 3.0, "batch_size": 8}, 39),
        (100, 2, {"epochs": 3.0, "batch_size": 8}, 21),
        (1000, 8, {"epochs": 1.0, "batch_size": 8, "gradient_accumulation": 3}, 6),
        (148_000, 8, {"epochs": 1.0, "gradient_accumulation": 3}, 771),
    ],
)
def test_steps_by_processes_and_accumulation(rows: int, processes: int, given: dict[str, Any], steps: int) -> None:
    launch = Launch(processes, "ddp") if processes > 1 else Launch()
    assert work_of(SftConfig(*NO_FILES, **given), launch, rows=rows, tokens=rows * 10).steps == steps


@pytest.mark.parametrize("recipe", ["starter-sft", "omni-v1", "omni-v2", "vl"])
def test_grpo_steps_follow_from_the_batches_that_the_job_makes(recipe: str) -> None:
    config = config_for(recipe, "grpo", places=dict.fromkeys(places_of("grpo"), "x"), overrides={"concat_share": 0.0})
    assert isinstance(config, GrpoConfig)
    batches = Batches.plan(config, 1)
    blocks = -(-1000 // batches.block_prompts)
    updates = blocks * batches.block_prompts * config.group_size / config.update_batch
    work = work_of(config, Launch(), rows=1000, tokens=0)
    assert work.steps == -(-config.epochs * updates // 1)
    assert work.amount == work.steps * config.update_batch
    mining = work_of(MineConfig(*NO_FILES, rollouts=4, batch_size=32), Launch(), rows=100, tokens=0)
    assert (mining.steps, mining.amount, mining.unit) == (4, 400, "rollouts")


def test_parameters_are_read_from_the_files_without_the_weights(tiny: Path) -> None:
    found = read_checkpoint(str(tiny))
    assert found is not None
    model = load_model(str(tiny), dtype="auto")
    # tied weights are stored once
    assert found.parameters == pytest.approx(sum(tensor.numel() for tensor in model.parameters()), rel=0.25)
    assert found.vision_parameters == sum(tensor.numel() for tensor in model.model.visual.parameters())
    assert (found.hidden, found.layers) == (
        model.config.text_config.hidden_size,
        model.config.text_config.num_hidden_layers,
    )
    assert read_checkpoint("hub/some-model") is None


def test_memory_is_sixteen_bytes_a_trained_parameter_and_less_in_shares(tiny: Path) -> None:
    found = read_checkpoint(str(tiny))
    assert found is not None
    config = SftConfig(*NO_FILES, freeze_vision=False)

    def of(launch: Launch = Launch(), **settings: Any) -> Any:  # noqa: B008
        return estimate(replace(config, **settings), found, launch, longest=500)

    whole = of()
    assert whole.weights + whole.gradients + whole.moments == 16 * found.parameters
    frozen = of(freeze_vision=True)
    assert frozen.weights == whole.weights and frozen.trained_parameters == found.parameters - found.vision_parameters
    assert of(bf16=True).weights == 6 * found.parameters and of(bf16=True).activations < whole.activations
    assert of(gradient_checkpointing=True).activations < whole.activations
    four = {name: of(Launch(4, name)) for name in ("ddp", "fsdp", "zero2", "zero3")}
    assert four["ddp"].gradients == 2 * whole.gradients and four["ddp"].weights == whole.weights
    assert four["zero2"].weights == whole.weights and four["zero2"].moments == whole.moments // 4
    assert four["fsdp"].weights == four["zero3"].weights == whole.weights // 4
    assert estimate(MineConfig(*NO_FILES), found, Launch(), longest=500) is None


def test_an_adapter_is_counted_as_peft_makes_it(tiny: Path) -> None:
    from peft import get_peft_model

    found = read_checkpoint(str(tiny))
    config = SftConfig(*NO_FILES, lora_rank=4)
    assert found is not None
    memory = estimate(config, found, Launch(), longest=10)
    model = get_peft_model(load_model(str(tiny), dtype="auto"), lora(config))
    assert memory is not None
    assert memory.trained_parameters == sum(tensor.numel() for tensor in model.parameters() if tensor.requires_grad)


def test_time_is_estimated_from_earlier_runs_or_reported_as_unknown(tmp_path: Path, tiny: Path) -> None:
    dataset = write_rows(tmp_path / "rows.jsonl", mixed_rows(tmp_path / "media", 8), tmp_path / "media")
    config = SftConfig(str(tiny), str(dataset), str(tmp_path / "media"), epochs=1.0)
    [unknown] = plan({"sft": config}).stages
    assert unknown.seconds is None and "no earlier run" in unknown.time_note
    made = plan(
        {"sft": config},
        paces={"sft": [Pace("rollouts", 1.0, "r1"), Pace("tokens", 100.0, "r2", 4), Pace("tokens", 50.0, "r3")]},
    )
    assert made.seconds == pytest.approx(made.stages[0].work.amount / 50.0) and "r3" in made.stages[0].time_note


@pytest.fixture
def snapshot() -> DatasetSnapshot:
    return make_snapshot(40)


def serving(checkpoint: Path) -> ModelVersion:
    version = production()
    version.checkpoint = str(checkpoint)
    version.save(update_fields=["checkpoint"])
    return version


def succeeded(snapshot: DatasetSnapshot, base: ModelVersion, **result: Any) -> TrainingRun:
    run = request_run(snapshot=snapshot, base_version=base, requested_by=snapshot.created_by)
    TrainingRun.objects.filter(pk=run.pk).update(status=RunStatus.SUCCEEDED, finished_at=timezone.now(), result=result)
    return run


@pytest.mark.django_db
def test_the_pace_is_of_runs_of_the_same_kind_on_a_model_of_the_same_size(
    snapshot: DatasetSnapshot, tiny: Path, tmp_path: Path
) -> None:
    base = serving(tiny)
    run = succeeded(snapshot, base, tokens=1000, seconds=10.0)
    succeeded(snapshot, base)
    other = ModelVersion.objects.create(name="other", checkpoint=str(tmp_path / "elsewhere"))
    succeeded(snapshot, other, tokens=1000, seconds=1.0)
    assert paces("sft", base) == [Pace("tokens", 100.0, run.name)]
    assert paces("mine", base) == []
    made = plan_stages(snapshot=snapshot, base_version=base)
    assert [stage.kind for stage in made.stages] == ["sft", "mine", "grpo", "dpo"]
    assert made.stages[0].seconds is not None and made.seconds is None
    assert made.stages[0].used == snapshot.counts["train"]


@pytest.mark.django_db
def test_a_run_replays_what_its_base_learned_before(snapshot: DatasetSnapshot, tiny: Path) -> None:
    base = serving(tiny)
    with pytest.raises(SettingUnknown, match="there is nothing to replay"):
        request_run(
            snapshot=snapshot, base_version=base, requested_by=snapshot.created_by, overrides={"replay_rows": 5}
        )
    first = succeeded(snapshot, base)
    candidate = ModelVersion.objects.create(name="candidate", checkpoint=str(tiny), parent=base)
    TrainingRun.objects.filter(pk=first.pk).update(version=candidate)
    later = make_snapshot(60)
    run = request_run(
        snapshot=later, base_version=candidate, requested_by=later.created_by, overrides={"replay_rows": 5}
    )
    assert run.config["replay_dataset"] == str(file_of(snapshot)) and run.config["replay_rows"] == 5
    made = plan_stages(snapshot=later, base_version=candidate, stages=["sft"], overrides={"sft": {"replay_rows": 5}})
    assert made.stages[0].replay_rows == 5
