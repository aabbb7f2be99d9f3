"""The presets, with the source of every value: the papers' tables (GuardReasoner-VL and -Omni) and released scripts."""

from training.recipes.starter import STARTER_SFT
from training.recipes.translatable import gettext_noop
from training.recipes.values import Recipe, Setting, Stage, settings_from

OURS = "ours"
PAPER_VL = "GuardReasoner-VL"
PAPER_OMNI_V1 = "GuardReasoner-Omni, 148k rows"
PAPER_OMNI_V2 = "GuardReasoner-Omni, 181k rows"
PAPER_V0 = "GuardReasoner v0"
CODE_OMNI_V1 = "released code of GuardReasoner-Omni, 148k rows"
CODE_OMNI_V2 = "released code of GuardReasoner-Omni, 181k rows"
PER_PROMPT = "counted there in prompts: times the group size"
SWIFT = "ms-swift's default, which the released script keeps"
NOT_FOUND = "not found in paper or code: ours"


def _sft(source: str, *, epochs: float, cutoff: int, warmup: Setting, freeze: Setting, **more: Setting) -> Stage:
    """The common part of the three published recipes (global batch 192 = 8 rows × 24 accumulated on one process)."""
    return {
        **settings_from(source, learning_rate=5e-5, lr_scheduler="cosine"),
        "warmup_ratio": warmup,
        **settings_from(
            source,
            epochs=epochs,
            batch_size=8,
            gradient_accumulation=24,
            cutoff_tokens=cutoff,
            bf16=True,
            max_grad_norm=1.0,
        ),
        "weight_decay": Setting(0.0, NOT_FOUND),
        "freeze_vision": freeze,
        **settings_from(OURS, gradient_checkpointing=True, save_bf16=True),
        **more,
    }


def _mine(source: str, *, rollouts: int, keep: str, max_new_tokens: Setting) -> Stage:
    return {
        **settings_from(source, rollouts=rollouts, keep=keep, temperature=1.0, top_p=0.95),
        "max_new_tokens": max_new_tokens,
    }


def _grpo(own: Stage) -> Stage:
    """A GRPO stage, with settings that make a large checkpoint fit."""
    return settings_from(OURS, micro_batch=8, gradient_checkpointing=True, bf16=True, save_bf16=True) | own


def _vl_grpo(reward: str) -> Stage:
    return _grpo(
        {
            **settings_from(PAPER_VL, reward=reward, group_size=16, prompts_per_batch=512),
            "update_batch": Setting(256 * 16, f"{PAPER_VL} (256, {PER_PROMPT})"),
            **settings_from(
                PAPER_VL,
                learning_rate=1e-6,
                weight_decay=1e-2,
                clip_low=0.2,
                clip_high=0.2,
                clip_schedule="product",
                concat_share=0.2,
            ),
            **settings_from(
                NOT_FOUND,
                lr_scheduler="constant",
                max_grad_norm=1.0,
                temperature=1.0,
                top_p=0.95,
                max_prompt_tokens=4096,
                max_new_tokens=2048,
                epochs=1.0,
                clip_floor=0.0,
                loss="token_mean",
                concat_balance=False,
                freeze_vision=True,
            ),
        }
    )


OMNI_V1 = Recipe(
    "omni-v1",
    "GuardReasoner-Omni v1",
    gettext_noop("The published values of the 148k corpus; for a GPU."),
    {
        "sft": _sft(
            PAPER_OMNI_V1,
            epochs=1.0,
            cutoff=32_768,
            warmup=Setting(0.03, PAPER_OMNI_V1),
            freeze=Setting(True, PAPER_OMNI_V1),
        ),
        "mine": _mine(
            PAPER_OMNI_V1, rollouts=4, keep="any_wrong", max_new_tokens=Setting(2048, f"{NOT_FOUND}, as in its GRPO")
        ),
        "grpo": _grpo(
            {
                **settings_from(PAPER_OMNI_V1, reward="omni-v1", group_size=16, prompts_per_batch=256),
                "update_batch": Setting(128 * 16, f"{CODE_OMNI_V1} (128, {PER_PROMPT})"),
                **settings_from(
                    PAPER_OMNI_V1,
                    learning_rate=2e-6,
                    weight_decay=1e-2,
                    clip_low=0.2,
                    clip_high=0.3,
                    clip_schedule="constant",
                    loss="token_mean",
                    max_prompt_tokens=22_528,
                    max_new_tokens=2048,
                ),
                **settings_from(
                    CODE_OMNI_V1,
                    save_every=4,
                    temperature=1.0,
                    top_p=0.95,
                    warmup_ratio=0.0,
                    max_grad_norm=1.0,
                    freeze_vision=False,
                    micro_batch=1,
                ),
                "epochs": Setting(1.0, "ours: the authors stopped by hand"),
                "lr_scheduler": Setting("constant", NOT_FOUND),
            }
        ),
    },
    {"sft": Setting("zero2", PAPER_OMNI_V1), "grpo": Setting("fsdp", CODE_OMNI_V1)},
)
OMNI_V2 = Recipe(
    "omni-v2",
    "GuardReasoner-Omni v2",
    gettext_noop("The published values of the 181k corpus; for a GPU."),
    {
        "sft": _sft(
            PAPER_OMNI_V2,
            epochs=3.0,
            cutoff=24_576,
            warmup=Setting(0.03, PAPER_OMNI_V2),
            freeze=Setting(True, PAPER_OMNI_V2),
            weight_decay=Setting(0.1, SWIFT),
            adam_beta2=Setting(0.95, SWIFT),
        ),
        "mine": _mine(
            PAPER_OMNI_V2, rollouts=8, keep="mixed", max_new_tokens=Setting(4096, f"{NOT_FOUND}, as in its GRPO")
        ),
        "grpo": _grpo(
            {
                **settings_from(
                    PAPER_OMNI_V2,
                    reward="omni-v2",
                    group_size=8,
                    prompts_per_batch=16,
                    update_batch=128,
                    learning_rate=2e-6,
                    warmup_ratio=0.05,
                    max_prompt_tokens=20_480,
                    max_new_tokens=4096,
                    epochs=2.0,
                ),
                **settings_from(CODE_OMNI_V2, temperature=1.0, top_p=0.95, micro_batch=1, save_every=112, log_every=4),
                **settings_from(
                    SWIFT,
                    lr_scheduler="cosine",
                    weight_decay=0.1,
                    adam_beta2=0.95,
                    max_grad_norm=1.0,
                    clip_low=0.2,
                    clip_high=0.2,
                    clip_schedule="constant",
                    loss="sequence_mean",
                    freeze_vision=True,
                ),
            }
        ),
    },
    {"sft": Setting("zero2", PAPER_OMNI_V2), "grpo": Setting("zero3", CODE_OMNI_V2)},
)
_VL_STAGES: dict[str, Stage] = {
    "sft": _sft(PAPER_VL, epochs=3.0, cutoff=2_048, warmup=Setting(0.03, NOT_FOUND), freeze=Setting(True, NOT_FOUND)),
    "mine": _mine(PAPER_VL, rollouts=4, keep="all_wrong", max_new_tokens=Setting(2048, NOT_FOUND)),
}
_VL_SHARDING = {"sft": Setting("zero3", PAPER_VL)}
VL = Recipe(
    "vl",
    "GuardReasoner-VL",
    gettext_noop("The published values of the VL corpus; for a GPU."),
    _VL_STAGES | {"grpo": _vl_grpo("vl")},
    _VL_SHARDING,
)
VL_ECO = Recipe(
    "vl-eco",
    "GuardReasoner-VL-Eco",
    gettext_noop("Like VL, with the reward that keeps reasoning short; for a GPU."),
    _VL_STAGES | {"grpo": _vl_grpo("vl-eco")},
    _VL_SHARDING,
)
HS_DPO = Recipe(
    "hs-dpo",
    "Hard-sample DPO",
    gettext_noop("GuardReasoner v0: preference pairs of a right and a wrong rollout of one row; for a GPU."),
    {
        "mine": _mine(PAPER_V0, rollouts=4, keep="mixed", max_new_tokens=Setting(2048, NOT_FOUND)),
        "dpo": {
            **settings_from(
                PAPER_V0,
                beta=0.01,
                sft_weight=2.0,
                weight_spread=0.2,
                learning_rate=5e-6,
                lr_scheduler="cosine",
                epochs=2.0,
                batch_size=8,
                gradient_accumulation=32,
            ),
            **settings_from(
                NOT_FOUND,
                warmup_ratio=0.03,
                weight_decay=0.0,
                max_grad_norm=1.0,
                cutoff_tokens=4096,
                freeze_vision=True,
            ),
            **settings_from(OURS, bf16=True, gradient_checkpointing=True, save_bf16=True),
        },
    },
)
RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (STARTER_SFT, OMNI_V1, OMNI_V2, VL, VL_ECO, HS_DPO)}
DEFAULT = STARTER_SFT.name
