"""Units and descriptions of recipe settings, as shown on the pages."""

from collections.abc import Mapping

from django.utils.translation import gettext_noop as _

STAGES: Mapping[str, str] = {
    "sft": _("Fine-tuning"),
    "mine": _("Mining"),
    "grpo": _("GRPO"),
    "dpo": _("DPO"),
}
ABOUT: Mapping[str, str] = {
    "sft": _("Learns the reasoning and labels of the snapshot's train rows."),
    "mine": _("Draws rollouts of each train row and keeps the rows that the guard sometimes gets wrong."),
    "grpo": _("Samples a group of completions per row and reinforces those with higher rewards."),
    "dpo": _("Prefers a right rollout of a row to a wrong one."),
}
UNITS: Mapping[str, str] = {
    "epochs": _("passes over the rows"),
    "max_steps": _("optimizer steps; −1: by epochs"),
    "warmup_ratio": _("share of the steps"),
    "batch_size": _("rows per process and step"),
    "gradient_accumulation": _("batches per step"),
    "cutoff_tokens": _("tokens; longer rows are dropped"),
    "lora_rank": _("0: all weights"),
    "save_every": _("steps"),
    "log_every": _("steps"),
    "threads": _("0: the machine's choice"),
    "loss_on_prompt": _("weight; 0: completion only"),
    "replay_rows": _("rows of an older snapshot"),
    "rollouts": _("completions per row"),
    "top_p": _("cumulative probability"),
    "max_new_tokens": _("tokens per completion"),
    "group_size": _("completions per prompt"),
    "prompts_per_batch": _("prompts per rollout batch"),
    "update_batch": _("completions per optimizer step"),
    "micro_batch": _("completions per forward pass"),
    "num_iterations": _("passes over each rollout batch"),
    "max_prompt_tokens": _("tokens; longer rows are dropped"),
    "clip_low": _("ratio below 1"),
    "clip_high": _("ratio above 1"),
    "clip_floor": _("smallest range"),
    "skip_zero_advantage": _("leave out groups whose rewards are equal"),
    "concat_share": _("share of the rows that are concatenations"),
    "concat_balance": _("equally many harmful and unharmful"),
    "sft_weight": _("weight of the likelihood loss"),
    "weight_spread": _("a pair weighs 1 ± this"),
    "freeze_vision": _("vision tower and projector are frozen"),
    "gradient_checkpointing": _("less memory, about a third more time"),
    "bf16": _("half-precision training"),
    "save_bf16": _("finished model in half precision"),
    "server": _("name of vllm_server, as the operator gave it"),
    "pool_batches": _("batches whose rows are sorted by length together"),
    "packing": _("several text rows in one sequence"),
    "learning_rate": _("peak value"),
    "seed": _("for order and sampling"),
}
# by stage, if a name counts something else there
UNITS_OF: Mapping[tuple[str, str], str] = {
    ("mine", "batch_size"): _("rows per engine call"),
    ("dpo", "batch_size"): _("pairs per process and step"),
    ("mine", "server"): _("name of the guard's servers, as the operator gave it"),
    ("dpo", "cutoff_tokens"): _("tokens; longer pairs are dropped"),
}


def unit(kind: str, name: str) -> str:
    return UNITS_OF.get((kind, name), UNITS.get(name, ""))
