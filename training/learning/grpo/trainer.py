"""TRL's GRPOTrainer, corrected for batches that mix text, image and video.

TRL generates, keeps vLLM in sync and runs the loop. Replaced parts: prompts use the product's own encoding (TRL's path
crashes on mixed text and image rows, and scores video rows without their frames), the rollout order can be resumed,
groups stay on one process, advantages follow the papers, and each update weighs its tokens exactly. The overridden
methods are private, so the version of trl is pinned, and tests/training/learning/grpo/test_alignment.py compares the
log-probabilities with those of a plain model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import trl
from accelerate.utils import gather_object
from peft import PeftModel
from PIL import Image
from transformers import GenerationConfig
from trl.models.utils import unwrap_model_for_generation
from trl.trainer.utils import shuffle_sequence_dict

from guardapp.guard.engines.hf.encoding import Encoded
from guardapp.guard.rl.clip_range import ClipRange
from training.contract import GrpoConfig
from training.learning.grpo.batches import Batches
from training.learning.grpo.data import PromptOrder, Prompts
from training.learning.grpo.kept_rollouts import load_rollouts, save_rollouts
from training.learning.grpo.loss import clipped_policy_loss, completion_logps
from training.learning.grpo.passes import forward_passes
from training.learning.grpo.sampling import draw_groups, generation_settings
from training.learning.grpo.scoring import Grader, Scored, as_sent, group_advantages, rollout_metrics, scored_of

# in a checkpoint folder: the rollouts that the next updates still use
ROLLOUTS_IN_USE = "rollouts-{process}.safetensors"


@dataclass
class Rollouts:
    """One process's share of a rollout batch, ordered by group."""

    scored: list[Scored]
    advantages: list[float]


class GuardGrpoTrainer(trl.GRPOTrainer):  # type: ignore[misc]
    """A trainer for one rollout batch at a time: sample, grade, update. `latest` holds the last one for reports."""

    def __init__(self, *, config: GrpoConfig, prompts: Prompts, batches: Batches, **keywords: Any) -> None:
        self.config = config
        self.prompts = prompts
        self.batches = batches
        self.latest: Rollouts | None = None
        self._passes: list[dict[str, torch.Tensor]] = []  # of the current rollout batch
        # indices into `prompts` of the batch that TRL's methods are processing
        self._rows: list[int] = []
        self._metrics_of_rollouts: dict[str, float] = {}
        self._drawn: list[Scored] = []  # of all processes, since the last log
        self._of_updates: dict[str, torch.Tensor] = {}  # sums since the last log
        self.rollouts_drawn = 0
        self.beat: Callable[[], None] = lambda: None  # called between the parts of a rollout batch
        # see training.learning.fillers; set if the weights are sharded
        self.fillers: tuple[Encoded, ...] = ()
        grader = Grader(
            prompts.rows, prompts.processor.tokenizer, [], reward=config.reward, max_tokens=config.max_new_tokens
        )
        super().__init__(reward_funcs=[grader], **keywords)
        grader.end_ids = frozenset(self.eos_token_ids)
        self.grader = grader
        self.generation_kwargs = generation_settings(
            config,
            end_ids=self.eos_token_ids,
            padding_id=self._tokenizer.pad_token_id,
            suppressed_ids=[self.model.config.image_token_id, self.model.config.video_token_id],
        )
        self.generation_config = GenerationConfig(**self.generation_kwargs, disable_compile=True)

    def _get_train_sampler(self, dataset: Any = None) -> PromptOrder:
        return PromptOrder(
            len(self.prompts),
            group_size=self.num_generations,
            batch=self.config.prompts_per_batch,
            block=self.batches.block_prompts,
            repeats=self.num_iterations * self.batches.per_rollout,
            seed=self.args.seed,
        )

    # --- sampling and grading a rollout batch ---

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, torch.Tensor]:
        position = int(self._step) % (self.batches.per_rollout * self.num_iterations)
        if position == 0:
            drawn = shuffle_sequence_dict(self._generate_and_score_completions(generation_batch))
            self._passes = forward_passes(drawn, self.batches, self.config, self.accelerator.gather)
        inputs: dict[str, torch.Tensor] = self._passes[position % self.batches.per_rollout]
        return inputs

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        self._rows = [row["index"] for row in inputs]
        output: dict[str, torch.Tensor] = super()._generate_and_score_completions(inputs)
        scored = self.grader.latest
        rewards = torch.tensor([one.reward.total for one in scored], dtype=torch.float64).view(-1, self.num_generations)
        advantages = group_advantages(rewards).flatten()
        self.latest = Rollouts(scored, advantages.tolist())
        everywhere = [scored_of(one) for one in gather_object([as_sent(one) for one in scored])]
        self._drawn += everywhere
        self.rollouts_drawn += len(everywhere)
        return output | {
            "advantages": advantages.to(self.accelerator.device),
            "row": torch.tensor(self._rows, device=self.accelerator.device),
        }

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return [self.prompts[row].input_ids.tolist() for row in self._rows], None, {}

    def _generate_single_turn(
        self,
        prompt_ids: list[list[int]],
        images: Any,
        multimodal_fields: Any,
        num_generations: int,
        has_tool_images: bool = False,
    ) -> tuple[list[list[int]], list[list[float | None]] | None]:
        if not self.use_vllm:
            return self._draw(self._rows[::num_generations]), None
        # through TRL, vLLM receives text and pictures but not video frames, so the model itself samples for videos
        videos = [self.prompts.has_video(row) for row in self._rows]
        served = [at for at, video in enumerate(videos) if not video]
        pictures = [self._pictures(self._rows[at]) for at in served]
        completions, logps = super()._generate_single_turn(
            [prompt_ids[at] for at in served], pictures if any(pictures) else None, {}, num_generations
        )
        own = self._draw([row for row, video in zip(self._rows, videos, strict=True) if video][::num_generations])
        by_vllm, by_model = iter(zip(completions, logps, strict=True)), iter(own)
        merged: list[tuple[list[int], list[float | None]]] = []
        for video in videos:
            if video:
                completion = next(by_model)
                # unknown: TRL applies no correction to these tokens
                merged.append((completion, [None] * len(completion)))
            else:
                merged.append(next(by_vllm))
        return [completion for completion, _ in merged], [values for _, values in merged]

    def _draw(self, rows: Sequence[int]) -> list[list[int]]:
        """Sample a group for each row with the model itself."""
        if not rows:
            return []
        with (
            unwrap_model_for_generation(
                self.model_wrapped,
                self.accelerator,
                gather_deepspeed3_params=self.args.ds3_gather_for_generation,
                generation_kwargs=self.generation_kwargs,
                gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
            ) as unwrapped,
            torch.no_grad(),
            self.accelerator.autocast(),
            self._dist.summon_full_params(self.model_wrapped, recurse=False),
        ):
            # the base model's layers include the adapter
            model = unwrapped.get_base_model() if isinstance(unwrapped, PeftModel) else unwrapped
            return draw_groups(
                model,
                [self.prompts[row] for row in rows],
                self.num_generations,
                self.generation_config,
                end_ids=self.eos_token_ids,
                batch=self.config.generation_batch,
                device=self.accelerator.device,
                beat=self.beat,
            )

    def _pictures(self, row: int) -> list[Image.Image] | None:
        frames = [frame for medium in self.prompts.rows[row].sample.media for frame in medium.frames]
        return [Image.open(frame.path).convert("RGB") for frame in frames] or None

    # --- updating from a rollout batch ---

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        """Return shape (rows, logits_to_keep), as TRL arranges completions; prompts are on the left of `input_ids`."""
        whole = [
            self._whole(row, ids[mask.bool()])
            for row, ids, mask in zip(self._rows, input_ids, attention_mask, strict=True)
        ]
        logps = torch.zeros(len(whole), logits_to_keep, device=input_ids.device)
        entropies = torch.zeros_like(logps)
        ranked = sorted(range(len(whole)), key=lambda at: len(whole[at]))
        size = batch_size or len(ranked)
        for start in range(0, len(ranked), size):
            picked = ranked[start : start + size]
            with self.accelerator.autocast():
                found = completion_logps(
                    model,
                    [whole[at] for at in picked],
                    pad_token_id=self._tokenizer.pad_token_id,
                    temperature=self.temperature,
                    device=input_ids.device,
                    fused=input_ids.is_cuda,
                    fillers=self.fillers,
                )
            columns = torch.arange(found.logps.shape[1], device=input_ids.device)
            places = (torch.tensor(picked, device=input_ids.device)[:, None], columns[None])
            logps, entropies = (
                logps.index_put(places, found.logps.float()),
                entropies.index_put(places, found.entropies.float()),
            )
        return logps, entropies, None

    def _whole(self, row: int, ids: torch.Tensor) -> Encoded:
        """Return a row's prompt with one of its completions."""
        prompt = self.prompts[row]
        media_types = torch.zeros(len(ids), dtype=torch.long)
        media_types[: len(prompt)] = prompt.media_types
        return replace(prompt, input_ids=ids.cpu(), media_types=media_types, prompt_tokens=len(prompt))

    def _compute_loss(self, model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        self._rows = inputs["row"].tolist()
        mask = inputs["completion_mask"]
        logps, entropies, _ = self._get_per_token_logps_and_entropies(
            model,
            torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1),
            torch.cat([inputs["prompt_mask"], mask], dim=1),
            mask.shape[1],
        )
        # without a stale update in between, the guard that sampled the completions also scores them here
        policy = clipped_policy_loss(
            logps, inputs.get("old_per_token_logps", logps.detach()), inputs["advantages"], self.clip
        )
        # corrects for small differences of vLLM's probabilities
        per_token = policy.loss * inputs.get("importance_sampling_ratio", 1.0)
        counted = mask * (inputs["weight"] > 0)[:, None]
        self._add("update_tokens", counted.sum())
        self._add("clipped", (policy.clipped * counted).sum())
        self._add("entropy", (entropies * counted).sum())
        return (per_token * mask * inputs["weight"][:, None]).sum()

    @property
    def clip(self) -> ClipRange:
        """The current clip range, which a callback sets at each step."""
        return ClipRange(self.epsilon_low, self.epsilon_high)

    def _add(self, name: str, value: torch.Tensor) -> None:
        self._of_updates[name] = (
            self._of_updates.get(name, torch.zeros((), device=value.device)) + value.detach().float()
        )

    # --- reporting and resuming ---

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            logs |= self._measured()
        # TRL reports some of the same figures under other names
        self._metrics["train"].clear()
        super().log(logs, start_time)

    def _measured(self) -> dict[str, float]:
        """Metrics since the last log, of updates and of new rollouts (or of those still in use)."""
        if self._drawn:
            self._metrics_of_rollouts = rollout_metrics(self._drawn, self.num_generations, self.config.reward)
            self._drawn = []
        sums = {name: self.accelerator.gather(value).sum().item() for name, value in sorted(self._of_updates.items())}
        self._of_updates = {}
        tokens = max(sums.get("update_tokens", 0.0), 1.0)
        return self._metrics_of_rollouts | {
            "entropy": sums.get("entropy", 0.0) / tokens,
            "clip_fraction": sums.get("clipped", 0.0) / tokens,
            "clip_low": self.epsilon_low,
            "clip_high": self.epsilon_high,
        }

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        save_rollouts(self._rollouts_file(output_dir), self._passes, self._metrics_of_rollouts, self.rollouts_drawn)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        super()._load_rng_state(checkpoint)
        if checkpoint is None:
            return
        self._step = self.state.global_step * self.args.gradient_accumulation_steps
        self._passes, self._metrics_of_rollouts, self.rollouts_drawn = load_rollouts(
            self._rollouts_file(checkpoint), self.accelerator.device
        )

    def _rollouts_file(self, folder: str) -> Path:
        return Path(folder) / ROLLOUTS_IN_USE.format(process=self.args.process_index)

    def create_model_card(self, *_arguments: Any, **_keywords: Any) -> None:
        """Skip TRL's model card: the product describes the models that it registers."""
