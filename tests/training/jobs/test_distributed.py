"""Several processes: one loss curve with one process, one writer, one end. On CPUs they talk through gloo.

FSDP and DeepSpeed need GPUs (accelerate shards nothing on a CPU, and the deepspeed package is not installed here): of
them only the config is checked, by accelerate's own reader and launcher.
"""

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env

from tests.guard.tiny_checkpoint import build_checkpoint
from tests.training.tiny_run import metrics, result, run_here, sft_run
from training.contract import ACCELERATE, CHECKPOINTS, CONFIG, EXIT_CANCELLED, LOG, read_json, write_json
from training.jobs import sft
from training.recipes.launch import (
    Launch,
    LaunchNotUsable,
    check_launch,
    launch_from,
    write_launch,
)
from training.runs import job_process

TWO = Launch(processes=2, strategy="ddp")
STEPS: dict[str, Any] = {"max_steps": 6, "save_every": 3, "learning_rate": 1e-3}
# seconds: a process takes tens of them to import what it needs, and two share busy cores
HANGS = 420
TOLERANCE = 2e-4  # of the loss: the order of float32 sums differs


def start(run_dir: Path, launch: Launch) -> Any:
    """As a worker starts it."""
    write_launch(run_dir, launch, read_json(run_dir / CONFIG) or {}, gpus=0)
    with job_process.held(run_dir, 1.0) as lock:
        assert lock is not None
        return job_process.start("training.jobs.sft", run_dir, lock)


def ended(job: Any) -> int:
    """The exit code; a job that hangs is killed with all its processes."""
    try:
        code: int = job.wait(HANGS)
    except subprocess.TimeoutExpired:
        job_process.signal_group(job.pid, signal.SIGKILL)
        job.wait()
        raise
    return code


def until(condition: Callable[[], Any], seconds: float = HANGS) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return found


def ranks(run_dir: Path) -> list[int]:
    """Ids of the living processes of the job."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if (
                b"training.runs.start_rank" in words
                and b"accelerate.commands.launch" not in words
                and str(run_dir).encode() in words
            ):
                found.append(int(folder.name))
    return found


@pytest.mark.slow
@pytest.mark.timeout(3 * HANGS)
def test_two_processes_train_as_one_with_the_same_global_batch(tmp_path: Path) -> None:
    base = build_checkpoint(tmp_path / "base")
    # batches of text alone beside batches with media: gradients of the vision tower come from one process only
    one = sft_run(tmp_path / "one", base=base, rows=16, batch_size=4, gradient_accumulation=2, **STEPS)
    two = sft_run(tmp_path / "two", base=base, rows=16, batch_size=4, gradient_accumulation=1, **STEPS)
    assert run_here(sft.main, one) == 0
    assert ended(start(two, TWO)) == 0, (two / LOG).read_text()
    curves = [[line["loss"] for line in metrics(run_dir)] for run_dir in (one, two)]
    assert len(curves[1]) == len(curves[0]) == 6  # one writer
    assert curves[1] == pytest.approx(curves[0], abs=TOLERANCE)
    assert curves[0][-1] < curves[0][0] - 10 * TOLERANCE
    assert result(two)["tokens"] == result(one)["tokens"]
    assert (two / "model" / "model.safetensors").exists()
    environment = read_json(two / "environment.json")
    assert environment is None or environment["processes"] == 2


@pytest.mark.slow
@pytest.mark.timeout(3 * HANGS)
def test_all_processes_stop_at_one_step_sigkill_leaves_none_and_the_run_resumes(tmp_path: Path) -> None:
    """The wish to stop comes as a signal to each process here, and as the file that each looks for in GRPO's test."""
    run_dir = sft_run(tmp_path / "run", rows=16, batch_size=4, max_steps=500, save_every=1000)
    job = start(run_dir, TWO)
    until(lambda: len(metrics(run_dir)) >= 2 or job.poll() is not None)
    assert len(ranks(run_dir)) == 2
    job_process.signal_group(job.pid, signal.SIGTERM)
    assert ended(job) == EXIT_CANCELLED, (run_dir / LOG).read_text()
    assert not ranks(run_dir)
    stopped = metrics(run_dir)[-1]["step"]
    checkpoint = run_dir / CHECKPOINTS / f"checkpoint-{stopped}"
    assert (checkpoint / "trainer_state.json").exists()

    job = start(run_dir, TWO)
    until(lambda: len(ranks(run_dir)) == 2 or job.poll() is not None)
    job_process.signal_group(job.pid, signal.SIGKILL)
    assert ended(job) == -signal.SIGKILL
    until(lambda: not ranks(run_dir), 20)

    config = read_json(run_dir / CONFIG)
    assert config is not None
    write_json(run_dir / CONFIG, config | {"max_steps": stopped + 2})
    assert ended(start(run_dir, TWO)) == 0, (run_dir / LOG).read_text()
    assert metrics(run_dir)[-1]["step"] == stopped + 2
    assert f"resuming from {checkpoint}" in (run_dir / LOG).read_text()


@pytest.mark.slow
@pytest.mark.timeout(3 * HANGS)
def test_a_process_that_fails_ends_the_others_and_the_log_says_why(tmp_path: Path) -> None:
    run_dir = sft_run(tmp_path / "run", rows=4, cutoff_tokens=10)
    assert ended(start(run_dir, TWO)) == 1
    assert (
        (run_dir / LOG)
        .read_text()
        .strip()
        .splitlines()[-1]
        .startswith("NoTrainingRows: 4 rows were read, 4 of them longer")
    )
    assert not ranks(run_dir)


def config_of(checkpoint: Path, **settings: Any) -> dict[str, Any]:
    return {"base_model": str(checkpoint), "bf16": True, "gradient_accumulation": 24, "max_grad_norm": 1.0} | settings


@pytest.mark.parametrize(
    ("strategy", "kind"), [("ddp", "MULTI_GPU"), ("fsdp", "FSDP"), ("zero2", "DEEPSPEED"), ("zero3", "DEEPSPEED")]
)
def test_accelerate_reads_every_strategys_config(tmp_path: Path, tiny: Path, strategy: str, kind: str) -> None:
    write_launch(tmp_path, Launch(processes=8, strategy=strategy), config_of(tiny), gpus=8)
    path = str(tmp_path / ACCELERATE)
    read = load_config_from_file(path)  # raises on a key that it does not know
    assert (read.distributed_type, read.num_processes, read.mixed_precision, read.use_cpu) == (kind, 8, "bf16", False)
    arguments, _, _ = _validate_launch_command(
        launch_command_parser().parse_args(["--config_file", path, "-m", "job", "run"])
    )
    assert (arguments.use_deepspeed, arguments.use_fsdp) == (strategy.startswith("zero"), strategy == "fsdp")
    if strategy.startswith("zero"):
        assert (arguments.zero_stage, arguments.gradient_accumulation_steps) == (int(strategy[-1]), 24)
    else:
        environment = prepare_multi_gpu_env(arguments)
        assert environment["ACCELERATE_MIXED_PRECISION"] == "bf16"
        if strategy == "fsdp":
            assert (
                environment["FSDP_VERSION"] == "2"
                and environment["FSDP_TRANSFORMER_CLS_TO_WRAP"] == "Qwen3VLTextDecoderLayer"
            )


def test_several_machines_meet_at_the_first_ones_address(tiny: Path, tmp_path: Path) -> None:
    launch = Launch(processes=16, strategy="zero3", machines=2, machine_rank=1, main="first")
    for machines in ({}, {"second": ["10.0.0.2:29400"]}, {"first": ["10.0.0.1"]}, {"first": ["10.0.0.1:99999"]}):
        with pytest.raises(LaunchNotUsable, match="main='first' is not a machine of GUARDAPP_TRAINING_MACHINES"):
            write_launch(tmp_path, launch, config_of(tiny), gpus=8, machines=machines)
    write_launch(tmp_path, launch, config_of(tiny), gpus=8, machines={"first": ["10.0.0.1:29400"]})
    read = load_config_from_file(str(tmp_path / ACCELERATE))
    assert (read.num_machines, read.machine_rank, read.main_process_ip, read.main_process_port) == (
        2,
        1,
        "10.0.0.1",
        29_400,
    )
    assert read.deepspeed_config["zero3_save_16bit_model"] is True


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"processes": 0}, "processes=0"),
        ({"processes": "2"}, "processes='2' is not a whole"),
        ({"strategy": "zero1"}, "strategy='zero1'"),
        ({"processes": 2}, "strategy='none' with processes=2"),
        ({"strategy": "ddp"}, "one process has strategy none"),
        ({"process": 2}, "process is not a setting of a launch"),
        ({"processes": 3, "strategy": "ddp", "machines": 2}, "machines=2"),
        ({"processes": 2, "strategy": "ddp", "machines": 2}, "main is empty"),
        ({"processes": 2, "strategy": "ddp", "machine_rank": 1}, "machine_rank=1"),
        ({"processes": 2, "strategy": "ddp", "main_port": 99_999}, "main_port"),
        ({"processes": 2, "strategy": "ddp", "main_address": "10.0.0.9"}, "GUARDAPP_TRAINING_MACHINES"),
    ],
)
def test_a_launch_that_cannot_be_is_refused_by_field(value: dict[str, Any], named: str) -> None:
    with pytest.raises(LaunchNotUsable, match=named):
        launch_from(value)


@pytest.mark.parametrize(
    ("launch", "given", "gpus", "named"),
    [
        (Launch(2, "fsdp"), {}, 0, "needs GPUs"),
        (Launch(4, "ddp"), {}, 2, "processes=4"),
        (Launch(2, "zero3"), {"lora_rank": 8}, 2, "lora_rank=8"),
        (Launch(2, "fsdp"), {"packing": True}, 2, "packing"),
        (Launch(2, "ddp"), {"base_model": None}, 0, "not a mining"),
    ],
)
def test_a_launch_that_does_not_suit_the_job_is_refused(
    launch: Launch, given: dict[str, Any], gpus: int, named: str, tiny: Path
) -> None:
    config = {name: value for name, value in config_of(tiny, **given).items() if value is not None}
    with pytest.raises(LaunchNotUsable, match=named):
        check_launch(launch, config, gpus=gpus)


def test_one_process_needs_no_file(tmp_path: Path, tiny: Path) -> None:
    (tmp_path / ACCELERATE).write_text("left over")
    write_launch(tmp_path, replace(TWO, processes=1, strategy="none"), config_of(tiny), gpus=0)
    assert not (tmp_path / ACCELERATE).exists()
    with pytest.raises(LaunchNotUsable, match="does not name a family"):
        write_launch(tmp_path, Launch(2, "fsdp"), config_of(tmp_path), gpus=2)
