"""Preference training on hard samples (HS-DPO): `python -m training.jobs.dpo RUN_DIR`.

Reads RUN_DIR/config.json (DpoConfig), pairs a right and a wrong completion of each mined row in rows.jsonl (or takes
preference rows), and trains the guard to prefer the right one. The reference is the base model; its log-probabilities
are computed once, into RUN_DIR/reference.jsonl. If killed, the same command resumes from the last checkpoint.

TRL's DPOTrainer supports no video, no mixed-media batches and no pair weights, so the loss is in
training.learning.dpo_loss and the trainer is that of the supervised job.
"""

import logging
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
from datasets import Dataset
from transformers import TrainerState, TrainingArguments

from guardapp.guard.engines.hf.checkpoint import load_model, load_processor
from training.contract import DpoConfig, SftConfig
from training.jobs.sft import GuardTrainer, trainer_arguments
from training.learning.dpo_data import EncodedPairs, PairCollator, Pairs, read_pairs
from training.learning.dpo_loss import completion_logps, pair_losses
from training.learning.heartbeat import Heartbeat, JobCancelled
from training.learning.job_parts import Reporter, final_loss, freeze_vision, lora, train_and_save
from training.learning.json_lines import append_line, read_lines
from training.learning.lifecycle import Job, by_all, run_job, start_as_program
from training.learning.processes import is_main_process
from training.learning.sft_data import GroupedByLength

REFERENCE = "reference.jsonl"
PARTS = ("dpo_loss", "sft_loss", "margin", "accuracy")

log = logging.getLogger("training.jobs.dpo")


class SharesNotSupported(ValueError):
    """Preference training needs the whole model in each process: launch it with none, ddp or zero2.

    Use lora_rank for large models.
    """


def main(run_dir: Path) -> int:
    return run_job(run_dir, DpoConfig, train)


def train(job: Job[DpoConfig]) -> dict[str, Any]:
    config = job.config
    # synchronises the processes
    arguments = trainer_arguments(as_sft(config), job.run_dir)
    refuse_shares(arguments)
    processor = load_processor(config.base_model)
    model = load_model(config.base_model, dtype=torch.float32)
    read = read_pairs(config)
    collator = by_all(lambda: prepared(processor, model.to(arguments.device), read, config, job.heartbeat))
    pairs = collator.rows
    log.info(
        "%d pairs, %d dropped as longer than %d tokens, %d rows without a pair",
        len(pairs),
        pairs.dropped,
        config.cutoff_tokens,
        read.unpaired,
    )

    freeze_vision(model, config)
    trainer = PreferenceTrainer(
        config,
        model=model,
        args=arguments,
        processing_class=processor,
        train_dataset=Dataset.from_dict({"index": list(range(len(pairs)))}),
        data_collator=collator,
        peft_config=lora(config),
        callbacks=[PreferenceReporter(job.heartbeat)],
    )
    result = train_and_save(job, trainer, processor)
    logged = [entry for entry in trainer.state.log_history if "margin" in entry]
    return result | {
        "final_loss": final_loss(trainer),
        "final_margin": logged[-1]["margin"] if logged else None,
        "final_accuracy": logged[-1]["accuracy"] if logged else None,
        "train_rows": len(pairs),
        "dropped": pairs.dropped,
        "dropped_ids": pairs.dropped_ids,
        "unpaired": read.unpaired,
    }


def as_sft(config: DpoConfig) -> SftConfig:
    """Convert to an SftConfig, taking the common settings."""
    return SftConfig(
        **{field.name: getattr(config, field.name) for field in fields(SftConfig) if hasattr(config, field.name)}
    )


def refuse_shares(arguments: TrainingArguments) -> None:
    """Raise SharesNotSupported if the launch shards the model."""
    plugin = arguments.deepspeed_plugin
    if (plugin is not None and plugin.zero_stage == 3) or os.environ.get("ACCELERATE_USE_FSDP", "false") == "true":
        raise SharesNotSupported(SharesNotSupported.__doc__)


def prepared(processor: Any, model: Any, read: Pairs, config: DpoConfig, heartbeat: Heartbeat) -> PairCollator:
    """Encode the pairs and compute their reference. Raises NoPairs, JobCancelled."""
    pairs = EncodedPairs.measure(processor, read, config.cutoff_tokens, heartbeat)
    collator = PairCollator(pairs, processor.tokenizer.pad_token_id)
    pairs.reference = reference_logps(model, collator, config, heartbeat.run_dir / REFERENCE, heartbeat)
    return collator


@torch.no_grad()  # type: ignore[untyped-decorator]
def reference_logps(
    model: Any, collator: PairCollator, config: DpoConfig, path: Path, heartbeat: Heartbeat
) -> list[tuple[float, float]]:
    """Log-probabilities of each pair's chosen and rejected completion under the base model.

    Each result is appended to `path` as it is computed. With several processes, each computes all and the first one
    writes. Raises JobCancelled.
    """
    pairs = collator.rows
    writes = is_main_process()
    known = {line["id"]: (line["chosen"], line["rejected"]) for line in (read_lines(path) if writes else ())}
    order = sorted(
        (index for index in range(len(pairs)) if pairs.pairs[index].row.sample.id not in known),
        key=lambda index: pairs.lengths[index],
        reverse=True,
    )
    device = model.device
    model.eval()
    for start in range(0, len(order), config.batch_size):
        heartbeat.beat("reference", start, len(order))
        if heartbeat.cancelled:
            raise JobCancelled
        indices = order[start : start + config.batch_size]
        batch = {name: tensor.to(device) for name, tensor in collator([{"index": index} for index in indices]).items()}
        # the same precision as in training
        with torch.autocast(device.type, torch.bfloat16, enabled=config.bf16):
            logps, _, _ = completion_logps(model, batch)
        for index, chosen, rejected in zip(indices, *(side.tolist() for side in logps.chunk(2)), strict=True):
            name = pairs.pairs[index].row.sample.id
            known[name] = (chosen, rejected)
            if writes:
                append_line(path, {"id": name, "chosen": chosen, "rejected": rejected})
    return [known[pair.row.sample.id] for pair in pairs.pairs]


class PreferenceTrainer(GuardTrainer):
    """The supervised job's trainer with the HS-DPO loss.

    The loss is the mean over pairs of preference + sft_weight · likelihood loss of the chosen completion.
    """

    def __init__(self, config: DpoConfig, **keywords: Any) -> None:
        self.beta = config.beta
        self.sft_weight = config.sft_weight
        super().__init__(**keywords)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        losses, outputs = pair_losses(model, inputs, beta=self.beta)
        count = len(losses.margin) if num_items_in_batch is None else num_items_in_batch
        loss = (losses.preference + self.sft_weight * losses.sft).sum() / count
        for name, values in zip(
            PARTS, (losses.preference, losses.sft, losses.margin, (losses.margin > 0).float()), strict=True
        ):
            self._metrics["train"][name].append(self.accelerator.gather(values.detach().mean()).mean().item())
        return (loss, outputs) if return_outputs else loss

    def _get_train_sampler(self, train_dataset: Any = None) -> GroupedByLength:
        return GroupedByLength(self.data_collator.rows.lengths, self.args.train_batch_size, self.args.seed)


class PreferenceReporter(Reporter):
    def measured(self, logs: dict[str, float], state: TrainerState, seconds: float) -> dict[str, float]:
        return super().measured(logs, state, seconds) | {name: logs[name] for name in PARTS}


if __name__ == "__main__":
    start_as_program(main, __doc__)
