"""GRPO on CUDA in bfloat16: mixed media, TRL's chunked head, and vLLM where it is installed. Skipped without a CUDA
device.
"""

import importlib.util
from pathlib import Path

import pytest
import torch

from tests.training.grpo_run import grpo_run, trainer_of
from tests.training.learning.grpo.test_alignment import Compared
from tests.training.tiny_run import metrics, result, run_here
from training.contract import GrpoConfig, read_config
from training.jobs import grpo

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


def test_a_run_in_bfloat16_on_text_image_and_video(tmp_path: Path) -> None:
    run_dir = grpo_run(tmp_path / "run", bf16=True, prompts_per_batch=4, update_batch=16, num_iterations=2, max_steps=4)
    assert run_here(grpo.main, run_dir) == 0
    assert (result(run_dir)["steps"], result(run_dir)["rollouts"]) == (4, 32)
    assert all(torch.isfinite(torch.tensor(list(line.values()))).all() for line in metrics(run_dir))


def test_training_sees_the_probabilities_of_a_plain_model_in_float32(tmp_path: Path) -> None:
    run_dir = grpo_run(
        tmp_path / "run", prompts_per_batch=4, update_batch=16, micro_batch=16, num_iterations=2, max_steps=2
    )
    trainer = trainer_of(run_dir, read_config(run_dir, GrpoConfig), Compared)
    trainer.train()
    assert isinstance(trainer, Compared)
    # the sums' order differs between kernels; on a CPU the bound is 2e-6
    assert max(trainer.differences) <= 1e-4


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM")
def test_completions_may_come_from_vllm(tmp_path: Path) -> None:
    run_dir = grpo_run(
        tmp_path / "run", generation="vllm_colocate", bf16=True, prompts_per_batch=4, update_batch=16, max_steps=2
    )
    assert run_here(grpo.main, run_dir) == 0
    assert result(run_dir)["rollouts"] == 32
