"""HS-DPO's loss on batches of text, image and video pairs. Source: GuardReasoner v0 (spec of the recipes, section
7).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy, logsigmoid

# entries of a batch that the model does not take
OURS = ("completion_mask", "pair_weights", "reference", "loss_weights")

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class PairLosses:
    """Of each pair, shape (pairs,). `margin` is beta times what the policy prefers the chosen side more than the
    reference does.
    """

    preference: torch.Tensor
    sft: torch.Tensor
    margin: torch.Tensor


def pair_losses(model: Any, batch: Batch, *, beta: float) -> tuple[PairLosses, Any]:
    """The weighted preference loss and the likelihood loss of each pair, and the model's outputs.

    preference = -weight · log sigmoid(margin); sft = the chosen completion's mean loss a token. The weight is on the
    preference alone: whether the paper's is on both was not found.
    """
    logps, tokens, outputs = completion_logps(model, batch)
    (chosen, rejected), (reference_chosen, reference_rejected) = logps.chunk(2), batch["reference"]
    margin = beta * ((chosen - reference_chosen) - (rejected - reference_rejected))
    return PairLosses(
        -batch["pair_weights"] * logsigmoid(margin), -chosen / tokens.chunk(2)[0], margin.detach()
    ), outputs


def completion_logps(model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Log-probability of each row's completion and its number of tokens, both of shape (rows,), and the model's
    outputs.

    Logits are computed only at positions whose next token belongs to some row's completion.
    """
    mask = batch["completion_mask"][:, 1:]
    positions = mask.any(dim=0).nonzero().squeeze(1)
    targets, mask = batch["input_ids"][:, 1:][:, positions], mask[:, positions]
    outputs = model(
        **{name: tensor for name, tensor in batch.items() if name not in OURS},
        use_cache=False,
        logits_to_keep=positions,
    )
    losses = cross_entropy(outputs.logits.float().flatten(0, 1), targets.flatten(), reduction="none").view(
        targets.shape
    )
    return -(losses * mask).sum(dim=1), mask.sum(dim=1), outputs
