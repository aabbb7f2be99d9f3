"""Sample groups of completions with transformers, with one prefill per prompt."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from guardapp.guard.engines.hf.encoding import Encoded, collate
from guardapp.guard.engines.hf.shared_prompt import read_once
from training.contract import GrpoConfig


def draw_groups(
    model: Any,
    prompts: Sequence[Encoded],
    group_size: int,
    config: GenerationConfig,
    *,
    end_ids: Sequence[int],
    batch: int,
    device: torch.device,
    beat: Callable[[], None] = lambda: None,
) -> list[list[int]]:
    """Sample `group_size` completions per prompt, in input order, as token ids including the end token.

    At most `batch` completions (but at least one group) are sampled together, from prompts of similar length. `beat` is
    called before each such batch.
    """
    ranked = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    together = max(1, batch // group_size)
    groups: dict[int, list[list[int]]] = {}
    for start in range(0, len(ranked), together):
        beat()
        picked = ranked[start : start + together]
        drawn = _draw(model, [prompts[at] for at in picked], group_size, config, device)
        for number, at in enumerate(picked):
            groups[at] = [until_end(row, end_ids) for row in drawn[number * group_size : (number + 1) * group_size]]
    return [completion for at in range(len(prompts)) for completion in groups[at]]


def until_end(ids: list[int], end_ids: Sequence[int]) -> list[int]:
    """Cut generated ids after the end token."""
    ends = [at for at, token in enumerate(ids) if token in end_ids]
    return ids[: ends[0] + 1] if ends else ids


def _draw(
    model: Any, prompts: Sequence[Encoded], group_size: int, config: GenerationConfig, device: torch.device
) -> list[list[int]]:
    inputs = {
        key: tensor.to(device)
        for key, tensor in collate(prompts, pad_token_id=config.pad_token_id, side="left").items()
    }
    output = model.generate(**read_once(model, inputs, group_size), generation_config=config)
    drawn: list[list[int]] = output[:, inputs["input_ids"].shape[1] :].tolist()
    return drawn


def generation_settings(
    config: GrpoConfig, *, end_ids: Sequence[int], padding_id: int, suppressed_ids: Sequence[int]
) -> dict[str, Any]:
    """Return explicit values for all settings, so that the checkpoint's temperature and penalties are ignored.

    `suppressed_ids` are the media placeholders: a sampled one would have no pixels.
    """
    return {
        "max_new_tokens": config.max_new_tokens,
        "do_sample": True,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "top_k": 0,
        "repetition_penalty": 1.0,
        "eos_token_id": end_ids,
        "pad_token_id": padding_id,
        "suppress_tokens": suppressed_ids,
    }
