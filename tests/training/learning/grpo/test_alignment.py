"""The log-probabilities inside GRPO equal those of a plain, unbatched forward pass: text, image and video in one batch.

TRL's own path crashes on mixed text and image rows and scores video rows without their frames. This stays in the suite.
"""

from pathlib import Path
from typing import Any

import pytest
import torch

from guardapp.guard.engines.hf.encoding import collate, encode
from guardapp.guard.engines.hf.hf_engine import HfEngine
from guardapp.guard.verdict import Decoding
from tests.guard.tiny_checkpoint import Family, image_sample, text_sample, video_sample
from tests.training.grpo_run import grpo_run, trainer_of
from training.contract import GrpoConfig, read_config
from training.learning.grpo.loss import completion_logps
from training.learning.grpo.sampling import draw_groups
from training.learning.grpo.trainer import GuardGrpoTrainer

LARGEST_DIFFERENCE = 2e-6


class Compared(GuardGrpoTrainer):
    """Holds each forward pass of training against one row at a time."""

    def _compute_loss(self, model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        self._rows = inputs["row"].tolist()
        mask = inputs["completion_mask"]
        with torch.no_grad():
            found, _, _ = self._get_per_token_logps_and_entropies(
                model,
                torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1),
                torch.cat([inputs["prompt_mask"], mask], 1),
                mask.shape[1],
            )
            for at, row in enumerate(self._rows):
                completion = inputs["completion_ids"][at][mask[at].bool()]
                prompt = encode(self.prompts.processor, self.prompts.rows[row].sample)
                expected = self.alone(model, prompt, completion)
                self.differences.append((found[at, : len(completion)] - expected).abs().max().item())
                # the first pass over a rollout batch: the guard is still the one that drew
                if self.state.global_step % 2 == 0:
                    self.stale.append(
                        (inputs["old_per_token_logps"][at, : len(completion)] - expected).abs().max().item()
                    )
            self.mixed.append({self.prompts.rows[row].sample.modality.value for row in self._rows})
        return super()._compute_loss(model, inputs)

    def alone(self, model: Any, prompt: Any, completion: torch.Tensor) -> torch.Tensor:
        ids = torch.cat([prompt.input_ids, completion.cpu()])[None]
        types = torch.cat([prompt.media_types, torch.zeros(len(completion), dtype=torch.long)])[None]
        there = {"input_ids": ids, "mm_token_type_ids": types, **prompt.pixels}
        logits = (
            model(**{name: tensor.to(completion.device) for name, tensor in there.items()}).logits[0].float()
            / self.temperature
        )
        logps = logits.log_softmax(-1)[len(prompt) - 1 : -1]
        return logps.gather(1, completion[:, None])[:, 0]

    def train(self, *arguments: Any, **keywords: Any) -> Any:
        self.differences: list[float] = []
        self.stale: list[float] = []
        self.mixed: list[set[str]] = []
        return super().train(*arguments, **keywords)


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen2_5_vl"])
def test_training_sees_the_same_probabilities_as_a_plain_model(tmp_path: Path, family: Family) -> None:
    run_dir = grpo_run(
        tmp_path / "run",
        family=family,
        prompts_per_batch=4,
        update_batch=16,
        micro_batch=16,
        num_iterations=2,
        temperature=1.2,
        max_steps=4,
    )
    trainer = trainer_of(run_dir, read_config(run_dir, GrpoConfig), Compared)
    trainer.train()
    assert isinstance(trainer, Compared)
    assert {"text", "text-image", "video"} in trainer.mixed
    assert max(trainer.differences) <= LARGEST_DIFFERENCE
    assert max(trainer.stale) <= LARGEST_DIFFERENCE
    assert len(trainer.stale) == len(trainer.differences) // 2


def test_both_heads_score_alike(tmp_path: Path) -> None:
    run_dir = grpo_run(tmp_path / "run")
    trainer = trainer_of(run_dir, read_config(run_dir, GrpoConfig))
    processor = trainer.prompts.processor
    rows = [
        encode(processor, sample, "harmful, I think." * number)
        for number, sample in enumerate((text_sample(2), image_sample(tmp_path), video_sample(tmp_path)), start=1)
    ]
    found = [
        completion_logps(trainer.model, rows, pad_token_id=0, temperature=0.7, device=torch.device("cpu"), fused=fused)
        for fused in (True, False)
    ]
    # without a temperature of its own the fused head divides by the trainer's, which is 1 here
    assert trainer.temperature == 1.0
    plain = completion_logps(
        trainer.model, rows, pad_token_id=0, temperature=1.0, device=torch.device("cpu"), fused=False
    )
    assert torch.allclose(found[0].logps, plain.logps, atol=LARGEST_DIFFERENCE)
    assert torch.allclose(found[0].entropies, plain.entropies, atol=1e-5)
    assert not torch.allclose(found[1].logps, plain.logps, atol=1e-3)


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen2_5_vl"])
def test_prompts_read_once_for_a_group_are_answered_as_the_engine_answers_them(tmp_path: Path, family: Family) -> None:
    run_dir = grpo_run(tmp_path / "run", family=family)
    config = read_config(run_dir, GrpoConfig)
    trainer = trainer_of(run_dir, config)
    side = 64 if family == "qwen3_vl" else 56
    samples = [text_sample(2), image_sample(tmp_path, side=side), video_sample(tmp_path, side=side), text_sample()]
    greedy = trainer.generation_config
    greedy.do_sample = False
    greedy.temperature = greedy.top_p = greedy.top_k = None
    model = trainer.model.eval()
    prompts = [encode(trainer.prompts.processor, sample) for sample in samples]
    model(**collate([prompts[1]], pad_token_id=0, side="right"))  # leaves a rope offset behind
    drawn = draw_groups(model, prompts, 2, greedy, end_ids=trainer.eos_token_ids, batch=6, device=torch.device("cpu"))
    answers = HfEngine(config.base_model, device="cpu").generate(
        samples, Decoding(max_new_tokens=config.max_new_tokens)
    )
    tokenizer = trainer.prompts.processor.tokenizer
    texts = [
        tokenizer.decode([token for token in ids if token not in trainer.eos_token_ids], skip_special_tokens=True)
        for ids in drawn
    ]
    assert texts[::2] == texts[1::2] == [group[0].completion for group in answers]
