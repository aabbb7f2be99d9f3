"""The starter preset: values of our own, for a CPU."""

from training.recipes.translatable import gettext_noop
from training.recipes.values import Recipe, settings_from

OURS_CPU = "ours, for two CPU cores"

STARTER_SFT = Recipe(
    "starter-sft",
    "Starter",
    gettext_noop("Corrections on the guard that ships with the project, on a CPU."),
    {
        "sft": settings_from(
            OURS_CPU,
            learning_rate=6e-4,
            lr_scheduler="cosine",
            warmup_ratio=0.05,
            epochs=8.0,
            batch_size=16,
            gradient_accumulation=1,
            cutoff_tokens=2048,
            weight_decay=0.01,
            max_grad_norm=1.0,
            freeze_vision=True,
            bf16=False,
            save_bf16=True,
            save_every=50,
            log_every=2,
        ),
        "mine": settings_from(
            OURS_CPU, rollouts=4, keep="any_wrong", temperature=1.0, top_p=0.95, max_new_tokens=256, batch_size=32
        ),
        "grpo": settings_from(
            OURS_CPU,
            reward="omni-v2",
            group_size=8,
            prompts_per_batch=8,
            update_batch=64,
            micro_batch=16,
            epochs=1.0,
            learning_rate=1e-4,
            lr_scheduler="constant",
            warmup_ratio=0.0,
            weight_decay=0.0,
            max_grad_norm=1.0,
            temperature=1.0,
            top_p=0.95,
            max_prompt_tokens=1792,
            max_new_tokens=256,
            clip_low=0.2,
            clip_high=0.2,
            loss="token_mean",
            freeze_vision=True,
            bf16=False,
            save_bf16=True,
            save_every=20,
        ),
        "dpo": settings_from(
            OURS_CPU,
            beta=0.1,
            sft_weight=1.0,
            weight_spread=0.2,
            epochs=2.0,
            learning_rate=5e-5,
            lr_scheduler="cosine",
            warmup_ratio=0.05,
            batch_size=8,
            gradient_accumulation=1,
            cutoff_tokens=2048,
            freeze_vision=True,
            bf16=False,
            save_bf16=True,
            save_every=50,
            log_every=2,
        ),
    },
)
