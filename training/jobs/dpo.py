"""Preference training on hard samples (HS-DPO): `python -m training.jobs.dpo RUN_DIR`.

Reads RUN_DIR/config.json (DpoConfig), pairs a right and a wrong completion of each mined row in rows.jsonl (or takes
preference rows), and trains the guard to prefer the right one. The reference is the base model; its log-probabilities
are computed once, into RUN_DIR/reference.jsonl. If killed, the same command resumes from the last checkpoint.

TRL's DPOTrainer supports no video, no mixed-media batches and no pair weights, so the loss is in
training.learning.dpo_loss and the trainer is that of the supervised job.
"""

import argparse
import logging
import os
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
import transformers
import trl
from datasets import Dataset
from transformers import TrainerState, TrainingArguments

from guardapp.guard.engines.hf.checkpoint import load_model, load_processor
from training.contract import EXIT_CANCELLED, MODEL, RESULT, DpoConfig, SftConfig, read_config
from training.jobs.sft import GuardTrainer, trainer_arguments
from training.learning.dpo_data import EncodedPairs, PairCollator, Pairs, read_pairs
from training.learning.dpo_loss import completion_logps, pair_losses
from training.learning.environment import write_environment
from training.learning.heartbeat import Heartbeat
from training.learning.job_parts import Reporter, lora, newest_checkpoint, save_model, vision_tower, write_result
from training.learning.json_lines import append_line, read_lines
from training.learning.processes import any_process, is_main_process, log_to_stdout
from training.learning.sft_data import GroupedByLength, JobCancelled

REFERENCE = "reference.jsonl"
PARTS = ("dpo_loss", "sft_loss", "margin", "accuracy")

log = logging.getLogger("training.jobs.dpo")


class SharesNotSupported(ValueError):
    """Preference training needs the whole model in each process: launch it with none, ddp or zero2.

    Use lora_rank for large models.
    """


def main(run_dir: Path) -> int:
    """Run the job. Returns 0 when done, or EXIT_CANCELLED if stopped with a checkpoint to resume from."""
    if (run_dir / RESULT).exists():
        log.info("result.json is there: nothing left to do")
        return 0
    config = read_config(run_dir, DpoConfig)
    heartbeat = Heartbeat(run_dir)
    heartbeat.listen()
    began = time.time()
    if config.threads:
        torch.set_num_threads(config.threads)

    # synchronises the processes
    arguments = trainer_arguments(as_sft(config), run_dir)
    refuse_shares(arguments)
    heartbeat.beat("loading", 0, 0)
    processor = load_processor(config.base_model)
    model = load_model(config.base_model, dtype=torch.float32)
    write_environment(run_dir)
    read = read_pairs(config)
    collator = prepared(processor, model.to(arguments.device), read, config, heartbeat)
    if collator is None:
        return EXIT_CANCELLED
    pairs = collator.rows
    log.info(
        "%d pairs, %d dropped as longer than %d tokens, %d rows without a pair",
        len(pairs),
        pairs.dropped,
        config.cutoff_tokens,
        read.unpaired,
    )

    if config.freeze_vision:
        for parameter in vision_tower(model).parameters():
            parameter.requires_grad = False
    trainer = PreferenceTrainer(
        config,
        model=model,
        args=arguments,
        processing_class=processor,
        train_dataset=Dataset.from_dict({"index": list(range(len(pairs)))}),
        data_collator=collator,
        peft_config=lora(config),
        callbacks=[PreferenceReporter(heartbeat)],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    checkpoint = newest_checkpoint(run_dir)
    log.info("resuming from %s", checkpoint) if checkpoint else log.info("starting from %s", config.base_model)
    outcome = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    steps, total = trainer.state.global_step, trainer.state.max_steps
    if steps < total:
        log.info("cancelled at step %d of %d", steps, total)
        return EXIT_CANCELLED

    heartbeat.beat("saving", steps, total)
    save_model(trainer, processor, run_dir / MODEL, bf16=config.save_bf16)
    logged = [entry for entry in trainer.state.log_history if "margin" in entry]
    write_result(
        run_dir,
        {
            "steps": steps,
            "epochs": trainer.state.epoch,
            "final_loss": logged[-1]["loss"] if logged else outcome.training_loss,
            "final_margin": logged[-1]["margin"] if logged else None,
            "final_accuracy": logged[-1]["accuracy"] if logged else None,
            "train_rows": len(pairs),
            "dropped": pairs.dropped,
            "unpaired": read.unpaired,
            "tokens": trainer.state.num_input_tokens_seen,
            "seconds": round(time.time() - began, 2),
            "base_model": config.base_model,
            "lora_rank": config.lora_rank,
            "transformers_version": transformers.__version__,
            "trl_version": trl.__version__,
            "torch_version": torch.__version__,
        },
    )
    return 0


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


def prepared(processor: Any, model: Any, read: Pairs, config: DpoConfig, heartbeat: Heartbeat) -> PairCollator | None:
    """Encode the pairs and compute their reference. None if any process was asked to stop. Raises NoPairs."""
    collator = None
    try:
        pairs = EncodedPairs.measure(processor, read, config.cutoff_tokens, heartbeat)
        whole = PairCollator(pairs, processor.tokenizer.pad_token_id)
        pairs.reference = reference_logps(model, whole, config, heartbeat.run_dir / REFERENCE, heartbeat)
        collator = whole
    except JobCancelled:
        pass
    return None if any_process(collator is None) else collator


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
    parser = argparse.ArgumentParser(description="Preference training of a guard on hard samples.")
    parser.add_argument("run_dir", type=Path)
    log_to_stdout()
    sys.exit(main(parser.parse_args().run_dir))
