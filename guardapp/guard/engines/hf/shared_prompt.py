"""Several completions of one prompt with a single prefill, images included.

transformers' own `num_return_sequences` repeats the prompt before the prefill. This code uses private parts of it (the
rope offset and the position ids), so transformers is pinned, and a test compares the rollouts with those of
`num_return_sequences`.
"""

from typing import Any

import torch
from transformers import DynamicCache


def read_once(model: Any, inputs: dict[str, torch.Tensor], n: int) -> dict[str, Any]:
    """Prefill left-padded `inputs` and return the arguments of `model.generate` for `n` completions per row.

    The completions of a row are adjacent. The prefill covers all but the last token of each row. Call under
    `torch.inference_mode` or `no_grad`.
    """
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    rest = {name: tensor for name, tensor in inputs.items() if name not in ("input_ids", "attention_mask")}
    rest["mm_token_type_ids"] = rest["mm_token_type_ids"][:, :-1]
    cache = DynamicCache(config=model.config.get_text_config())
    # also resets the rope offset that the model keeps from its previous call
    positions = model._prepare_position_ids_for_generation(ids[:, :-1], {"attention_mask": mask[:, :-1], **rest})
    model.model(
        input_ids=ids[:, :-1],
        attention_mask=mask[:, :-1],
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        **rest,
    )
    cache.batch_repeat_interleave(n)
    model.model.rope_deltas = model.model.rope_deltas.repeat_interleave(n, dim=0)
    return {
        "input_ids": ids.repeat_interleave(n, dim=0),
        "attention_mask": mask.repeat_interleave(n, dim=0),
        "past_key_values": cache,
    }
