"""Moderation results in the format of OpenAI's moderation endpoint."""

from collections.abc import Mapping
from typing import Any

from annotation.moderation.moderate import Moderated, Thresholds
from guardapp.guard.actions import HARMFUL, Action
from guardapp.guard.judging import Mode
from guardapp.guard.taxonomy import DEFAULT_CATEGORIES, OpenAICategory

# OpenAI's categories and the policy categories mapped to each; one without any is never flagged
NAMES: Mapping[str, tuple[str, ...]] = {
    name.value: tuple(category.code for category in DEFAULT_CATEGORIES if category.openai is name)
    for name in OpenAICategory
}
MODES = {"guard": Mode.FULL, "guard-fast": Mode.FAST}
# prefixes of the models that OpenAI clients request by default
THEIR_MODELS = ("omni-moderation", "text-moderation")


def mode_of(model: str) -> Mode | None:
    """The mode for a model name; None if the model is not served."""
    return Mode.FULL if model.startswith(THEIR_MODELS) else MODES.get(model)


def as_openai(outcome: Moderated, thresholds: Thresholds, codes: tuple[str, ...], *, reasoning: bool) -> dict[str, Any]:
    """One result: OpenAI's categories, then the policy's codes, then `harmful` for any harm, in a category or not."""
    # a retired category that the guard still names follows the policy's
    own = dict.fromkeys(codes, 0.0) | dict(outcome.scores.categories)
    scores = {name: max((own.get(code, 0.0) for code in meant), default=0.0) for name, meant in NAMES.items()}
    passed = {code: thresholds.of(code).decide(score) is not Action.ALLOW for code, score in own.items()}
    flags = {name: any(passed.get(code, False) for code in meant) for name, meant in NAMES.items()}
    types = (["text"] if outcome.content.prompt.strip() else []) + (["image"] if outcome.content.media else [])
    result: dict[str, Any] = {
        "flagged": outcome.flagged,
        "categories": flags | passed | {HARMFUL: outcome.flagged},
        "category_scores": scores | own | {HARMFUL: outcome.scores.harmful},
        "category_applied_input_types": dict.fromkeys([*scores, *own, HARMFUL], types),
    }
    judgement = outcome.answer.judged.greedy.judgement
    return result | ({"reasoning": list(judgement.steps) if judgement else []} if reasoning else {})
