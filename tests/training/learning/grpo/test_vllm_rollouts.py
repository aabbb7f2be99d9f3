"""Which rows vLLM draws for and which the model itself, with a scripted vLLM: a real one needs a GPU (tests/gpu)."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image

from tests.training.grpo_run import grpo_run, trainer_of
from training.contract import GrpoConfig, read_config
from training.learning.grpo.trainer import GuardGrpoTrainer

WRITTEN = [5, 6, 7]


class Scripted:
    """Answers every prompt alike, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[int], list[Image.Image] | None]] = []
        self.syncs = 0

    def sync_weights(self) -> None:
        self.syncs += 1

    def generate(
        self,
        *,
        prompts: list[list[int]],
        images: list[list[Image.Image] | None] | None,
        num_generations: int,
        profiler: Any,
    ) -> Any:
        self.asked += zip(prompts, images or [None] * len(prompts), strict=True)
        return prompts, [WRITTEN] * len(prompts), [[[-3.0]] * len(WRITTEN)] * len(prompts), None


class Recorded(GuardGrpoTrainer):
    seen: list[dict[str, torch.Tensor]]

    def _compute_loss(self, model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        self.seen.append(inputs)
        return super()._compute_loss(model, inputs)


def test_vllm_draws_for_texts_and_pictures_and_the_model_for_videos(tmp_path: Path) -> None:
    run_dir = grpo_run(tmp_path / "run", rows=4, prompts_per_batch=4, update_batch=16, micro_batch=16, max_steps=2)
    trainer = trainer_of(run_dir, read_config(run_dir, GrpoConfig), Recorded)
    assert isinstance(trainer, Recorded)
    trainer.seen, vllm = [], Scripted()
    trainer.use_vllm, trainer.vllm_mode, trainer._last_loaded_step, trainer.vllm_generation = True, "colocate", -1, vllm
    trainer.train()

    assert vllm.syncs == 2  # once a step: the weights had moved
    assert len(vllm.asked) == 2 * 3 * 4  # steps, rows that are no video, completions
    pictures = [images for _, images in vllm.asked if images]
    assert len(pictures) == 2 * 4
    assert all(images[0].size == (64, 64) for images in pictures)
    video = next(row for row in range(4) if trainer.prompts.has_video(row))
    for inputs in trainer.seen:
        of_video = inputs["row"] == video
        for row, ids, mask in zip(
            inputs["row"].tolist(), inputs["completion_ids"], inputs["completion_mask"].bool(), strict=True
        ):
            assert (ids[mask].tolist() == WRITTEN) is (row != video)
        # nothing to correct where the model itself has drawn; vLLM's made-up probabilities are far off, so those count
        # for nothing
        assert (inputs["importance_sampling_ratio"][of_video] == 1).all()
        assert (inputs["importance_sampling_ratio"][~of_video] != 1).all()
