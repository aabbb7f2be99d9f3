"""What the figures of a recipe count, in the words of the pages."""

from collections.abc import Mapping

STAGES: Mapping[str, str] = {"sft": "Fine-tuning", "mine": "Mining", "grpo": "GRPO", "dpo": "DPO"}
ABOUT: Mapping[str, str] = {
    "sft": "Learns the reasoning and labels of the snapshot's train rows.",
    "mine": "Draws rollouts of each train row and keeps the rows that the guard sometimes gets wrong.",
    "grpo": "Samples a group of completions a row and moves towards those that the reward likes.",
    "dpo": "Prefers a right rollout of a row to a wrong one.",
}
UNITS: Mapping[str, str] = {
    "epochs": "passes over the rows", "max_steps": "optimizer steps; −1: by epochs", "warmup_ratio": "share of the steps",
    "batch_size": "rows a process a step", "gradient_accumulation": "batches a step", "cutoff_tokens": "tokens; longer rows are dropped",
    "lora_rank": "0: all weights", "save_every": "steps", "log_every": "steps", "threads": "0: the machine's choice",
    "loss_on_prompt": "weight; 0: completion only", "replay_rows": "rows of an older snapshot", "rollouts": "completions a row",
    "top_p": "share of probability", "max_new_tokens": "tokens a completion", "group_size": "completions a prompt",
    "prompts_per_batch": "prompts a rollout batch", "update_batch": "completions an optimizer step",
    "micro_batch": "completions a forward pass", "num_iterations": "passes over each rollout batch",
    "max_prompt_tokens": "tokens; longer rows are dropped", "clip_low": "ratio below 1", "clip_high": "ratio above 1",
    "clip_floor": "smallest range", "skip_zero_advantage": "leave out groups whose rewards are equal",
    "concat_share": "share of the rows that are concatenations", "concat_balance": "as many harmful as unharmful",
    "sft_weight": "weight of the likelihood", "weight_spread": "a pair weighs 1 ± this",
    "freeze_vision": "vision tower and projector stay", "gradient_checkpointing": "less memory, about a third more time",
    "bf16": "half-precision training", "save_bf16": "finished model in half precision", "vllm_url": "of vllm_server",
    "packing": "several text rows in one sequence", "learning_rate": "at its highest", "seed": "of order and sampling",
}
# by stage where a name counts something else there
UNITS_OF: Mapping[tuple[str, str], str] = {
    ("mine", "batch_size"): "rows a call of the engine", ("dpo", "batch_size"): "pairs a process a step",
    ("dpo", "cutoff_tokens"): "tokens; longer pairs are dropped",
}


def unit(kind: str, name: str) -> str:
    return UNITS_OF.get((kind, name), UNITS.get(name, ""))
