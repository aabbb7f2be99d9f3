"""The forward passes of a rollout batch's updates."""

from collections.abc import Callable

import torch

from training.contract import GrpoConfig
from training.learning.grpo.batches import Batches
from training.learning.grpo.loss import row_weights

Tensors = dict[str, torch.Tensor]


def forward_passes(
    drawn: Tensors, batches: Batches, config: GrpoConfig, gather: Callable[[torch.Tensor], torch.Tensor]
) -> list[Tensors]:
    """Split a shuffled rollout batch into the forward passes of its updates, grouped by length.

    If configured, groups without any advantage are skipped; a pass keeps at least one row, which then has weight 0.
    `gather` collects a tensor from all processes.
    """
    passes: list[Tensors] = []
    rows = len(drawn["advantages"])
    lengths = drawn["prompt_mask"].sum(dim=1) + drawn["completion_mask"].sum(dim=1)
    kept = drawn["advantages"] != 0 if config.skip_zero_advantage else torch.ones(rows, dtype=torch.bool)
    kept = kept.to(lengths.device)
    for update in torch.arange(rows, device=lengths.device).chunk(batches.updates):
        tokens = drawn["completion_mask"][update].sum(dim=1)
        token_mean = config.loss == "token_mean"
        mine = tokens[kept[update]].sum() if token_mean else kept[update].sum()
        # gradients are averaged over the processes and over the rollout batches of a larger update
        total = gather(mine.float()).mean().item() * batches.rollouts
        weights = torch.zeros(rows, device=lengths.device)
        weights[update] = row_weights(tokens, kept[update], token_mean=token_mean, total=total)
        ranked = update[kept[update]]
        ranked = ranked[lengths[ranked].argsort()]
        for part in ranked.tensor_split(batches.per_rollout // batches.updates):
            picked = part if len(part) else update[:1]
            passes.append(
                {key: values[picked] for key, values in drawn.items() if values.ndim} | {"weight": weights[picked]}
            )
    return passes
