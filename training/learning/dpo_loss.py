"""The HS-DPO loss on mixed batches of pairs. Source: GuardReasoner v0."""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy, logsigmoid

# batch entries that are not model inputs
OURS = ("completion_mask", "pair_weights", "reference", "loss_weights")

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class PairLosses:
    """Losses by pair, each of shape (pairs,).

    `margin` is beta times how much more the policy prefers the chosen side than the reference does.
    """

    preference: torch.Tensor
    sft: torch.Tensor
    margin: torch.Tensor


def pair_losses(model: Any, batch: Batch, *, beta: float) -> tuple[PairLosses, Any]:
    """Return the weighted preference loss and the likelihood loss of each pair, and the model's outputs.

    preference = -weight · log sigmoid(margin); sft = the mean loss per token of the chosen completion. The weight
    applies to the preference only; whether the paper applies it to both was not found.
    """
    logps, tokens, outputs = completion_logps(model, batch)
    (chosen, rejected), (reference_chosen, reference_rejected) = logps.chunk(2), batch["reference"]
    margin = beta * ((chosen - reference_chosen) - (rejected - reference_rejected))
    return PairLosses(
        -batch["pair_weights"] * logsigmoid(margin), -chosen / tokens.chunk(2)[0], margin.detach()
    ), outputs


def completion_logps(model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Return each row's completion log-probability and token count, both of shape (rows,), and the outputs.

    Logits are computed only at positions whose next token belongs to a completion.
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
