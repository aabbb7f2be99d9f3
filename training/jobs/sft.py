"""Supervised fine-tuning: `python -m training.jobs.sft RUN_DIR`.

Reads RUN_DIR/config.json (SftConfig), trains on the completions of the snapshot's train rows (text, image and video in
one batch), and writes RUN_DIR/model and RUN_DIR/result.json. If killed, the same command resumes from the newest
complete checkpoint.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
import trl
from datasets import Dataset
from torch.nn.functional import cross_entropy

from guardapp.guard.engines.hf.checkpoint import load_model, load_processor
from training.contract import SftConfig
from training.learning.fillers import blank_media
from training.learning.job_parts import (
    Reporter,
    final_loss,
    freeze_vision,
    in_shares,
    lora,
    shared_arguments,
    train_and_save,
)
from training.learning.lifecycle import Job, by_all, run_job, start_as_program
from training.learning.packing import LINE_TOKENS
from training.learning.sft_data import EncodedRows, GroupedByLength, GuardCollator, training_rows

log = logging.getLogger("training.jobs.sft")


def main(run_dir: Path) -> int:
    return run_job(run_dir, SftConfig, train)


def train(job: Job[SftConfig]) -> dict[str, Any]:
    config = job.config
    # synchronises the processes
    arguments = trainer_arguments(config, job.run_dir)
    processor = load_processor(config.base_model)
    model = load_model(config.base_model, dtype=torch.float32)
    rows = by_all(lambda: EncodedRows.measure(processor, training_rows(config), config.cutoff_tokens, job.heartbeat))
    log.info("%d rows, %d dropped as longer than %d tokens", len(rows), rows.dropped, config.cutoff_tokens)

    freeze_vision(model, config)
    trainer = GuardTrainer(
        model=model,
        args=arguments,
        processing_class=processor,
        train_dataset=Dataset.from_dict({"index": list(range(len(rows)))}),
        data_collator=GuardCollator(
            rows,
            processor.tokenizer.pad_token_id,
            config.loss_on_prompt,
            line_tokens=LINE_TOKENS if config.packing else 0,
        ),
        peft_config=lora(config),
        callbacks=[Reporter(job.heartbeat)],
    )
    trainer.pool_batches = config.pool_batches
    if in_shares(trainer):
        trainer.data_collator = replace(trainer.data_collator, fillers=blank_media(processor))
    return train_and_save(job, trainer, processor) | {
        "final_loss": final_loss(trainer),
        "train_rows": len(rows),
        "dropped": rows.dropped,
        "dropped_ids": rows.dropped_ids,
    }


def trainer_arguments(config: SftConfig, run_dir: Path) -> trl.SFTConfig:
    """Convert the config to TRL's. On a GPU, bf16 needs hardware support; on a CPU it means autocast."""
    return trl.SFTConfig(
        **shared_arguments(config, run_dir),
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        include_num_input_tokens_seen="non_padding",
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        # a text-only batch does not use the vision tower
        ddp_find_unused_parameters=not (config.freeze_vision or config.lora_rank),
        average_tokens_across_devices=False,
    )


def weighted_loss(
    model: Any, inputs: dict[str, torch.Tensor], *, total_weight: torch.Tensor | None
) -> tuple[torch.Tensor, Any]:
    """Return the weighted cross-entropy of each next token, summed and divided by `total_weight`, and the outputs.

    `total_weight` is that of the whole optimizer step; None uses the batch's own. Logits are computed only at positions
    whose next token has a weight in some row.
    """
    weights = inputs["loss_weights"][:, 1:]
    positions = weights.sum(dim=0).nonzero().squeeze(1)
    targets, weights = inputs["input_ids"][:, 1:][:, positions], weights[:, positions]
    seen = {name: tensor for name, tensor in inputs.items() if name != "loss_weights"}
    outputs = model(**seen, use_cache=False, logits_to_keep=positions)
    token_losses = cross_entropy(outputs.logits.float().flatten(0, 1), targets.flatten(), reduction="none")
    return (token_losses * weights.flatten()).sum() / (weights.sum() if total_weight is None else total_weight), outputs


class GuardTrainer(trl.SFTTrainer):  # type: ignore[misc]
    """TRL's trainer with our loss and row order, and without files for a model hub."""

    pool_batches = 50
    # `compute_loss` divides by the weight of the whole step, so the trainer must not divide again
    loss_is_scaled_for_ga = True

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        loss, outputs = weighted_loss(model, inputs, total_weight=num_items_in_batch)
        return (loss, outputs) if return_outputs else loss

    def _get_num_items_in_batch(
        self, batch_samples: list[dict[str, torch.Tensor]], device: torch.device
    ) -> torch.Tensor:
        """The total loss weight of one optimizer step, including accumulated batches; the loss is divided by it."""
        total = torch.stack([batch["loss_weights"].sum() for batch in batch_samples]).sum().to(device)
        # gradients are averaged over the processes, so each divides by the mean weight
        gathered: torch.Tensor = self.accelerator.gather(total)
        return gathered.mean().clamp(min=1e-8)

    def _get_train_sampler(self, train_dataset: Any = None) -> GroupedByLength:
        rows = self.data_collator.rows
        apart = [bool(row.sample.media) for row in rows.rows] if self.data_collator.line_tokens else []
        return GroupedByLength(rows.lengths, self.args.train_batch_size, self.args.seed, apart, self.pool_batches)

    def create_model_card(self, *_arguments: Any, **_keywords: Any) -> None:
        """Skip TRL's model card: the product describes the models that it registers."""


if __name__ == "__main__":
    start_as_program(main, __doc__)
