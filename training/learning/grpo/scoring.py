"""Completions → rewards, advantages within each group, and the figures and examples of the run page."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import torch

from guardapp.guard.parsing import parse_labels
from guardapp.guard.rl.rewards import REWARDS, Graded, Reward, grade, reward_named
from training.learning.rows import Row

# added to the standard deviation of a group, as in the papers
STD_OFFSET = 1e-6
# a run with one of these also shows the reward of the other
BOTH_SHOWN = ("omni-v2", "omni-v2-released")


@dataclass(frozen=True, slots=True)
class Scored:
    """One completion, graded against its row."""

    row_id: str
    prompt: str
    completion: str
    parsed: bool
    graded: Graded
    reward: Reward


def as_sent(scored: Scored) -> dict[str, Any]:
    """Plain values for the other processes."""
    return asdict(scored)


def scored_of(value: Mapping[str, Any]) -> Scored:
    """What another process sent with `as_sent`."""
    return Scored(**{**value, "graded": Graded(**value["graded"]), "reward": Reward(**value["reward"])})


class Grader:
    """The reward function as called by TRL. `latest` holds the grades of the most recent batch."""

    def __init__(
        self, rows: Sequence[Row], tokenizer: Any, end_ids: Sequence[int], *, reward: str, max_tokens: int
    ) -> None:
        self.rows = rows
        self.tokenizer = tokenizer
        self.end_ids = frozenset(end_ids)
        self.reward = reward_named(reward)
        self.max_tokens = max_tokens
        self.latest: list[Scored] = []

    def __call__(self, *, completion_ids: Sequence[Sequence[int]], index: Sequence[int], **_: Any) -> list[float]:
        self.latest = [self.scored(self.rows[at], ids) for at, ids in zip(index, completion_ids, strict=True)]
        return [scored.reward.total for scored in self.latest]

    def scored(self, row: Row, ids: Sequence[int]) -> Scored:
        """Grade a completion; `ids` are its tokens, including the end token if any."""
        written = ids[:-1] if ids and ids[-1] in self.end_ids else ids
        completion: str = self.tokenizer.decode(written, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        response_present = row.sample.response is not None
        graded = grade(
            completion, row.verdict, response_present=response_present, tokens=len(ids), max_tokens=self.max_tokens
        )
        parsed = parse_labels(completion, response_expected=response_present) is not None
        return Scored(row.sample.id, row.sample.prompt, completion, parsed, graded, self.reward(graded))


def group_advantages(rewards: torch.Tensor) -> torch.Tensor:
    """(r - mean) / (std + 1e-6) within each group, shape (groups, group size); std is the sample's (n - 1).

    Exactly 0 if all rewards of a group are equal; rounding of the mean would otherwise leave a residue.
    """
    rewards = rewards.double()
    advantages = (rewards - rewards.mean(dim=1, keepdim=True)) / (rewards.std(dim=1, keepdim=True) + STD_OFFSET)
    return advantages.masked_fill(all_equal(rewards)[:, None], 0.0).float()


def all_equal(rewards: torch.Tensor) -> torch.Tensor:
    """Whether each group has equal rewards and hence no learning signal, shape (groups,)."""
    return rewards.amax(dim=1) == rewards.amin(dim=1)


def rollout_metrics(scored: Sequence[Scored], group_size: int, reward: str) -> dict[str, float]:
    """The metrics of a logged step, over completions ordered by group.

    `reward_std` is the mean of the groups' own, and the shares are of groups. `advantage_max_share` is the mean over
    groups with any variance of the largest share that one completion has in it; close to (G - 1) / G, one completion
    stands out.
    """
    totals = torch.tensor([one.reward.total for one in scored], dtype=torch.float64).view(-1, group_size)
    accuracies = torch.tensor([one.graded.accuracy for one in scored], dtype=torch.float64).view(-1, group_size)
    flat = all_equal(totals)
    squares = (totals - totals.mean(dim=1, keepdim=True)).square()[~flat]
    tokens = [one.graded.tokens for one in scored]
    found = {
        "reward": totals.mean().item(),
        "reward_std": totals.std(dim=1).mean().item(),
        "reward_format": fmean(one.reward.format for one in scored),
        "reward_accuracy": fmean(one.reward.accuracy for one in scored),
        "reward_length": fmean(one.reward.length_term for one in scored),
        "pass_rate": fmean(one.graded.right for one in scored),
        "parse_failure_rate": fmean(not one.parsed for one in scored),
        "completion_tokens": fmean(tokens),
        "completion_tokens_max": max(tokens),
        "zero_advantage_groups": flat.double().mean().item(),
        "saturated_right": (accuracies.amin(dim=1) == 1).double().mean().item(),
        "saturated_wrong": (accuracies.amax(dim=1) == 0).double().mean().item(),
        "advantage_max_share": (squares.amax(dim=1) / squares.sum(dim=1)).mean().item() if len(squares) else 0.0,
    }
    if reward in BOTH_SHOWN:
        found |= {
            f"reward_{name.replace('-', '_')}": fmean(REWARDS[name](one.graded).total for one in scored)
            for name in BOTH_SHOWN
        }
    return {name: round(value, 6) for name, value in found.items()}


def shown_rollouts(
    scored: Sequence[Scored], advantages: Sequence[float], group_size: int, step: int
) -> list[Mapping[str, Any]]:
    """Lines of rollouts.jsonl: the best and worst completion of two groups.

    These are the first group with any advantage, and the last group.
    """
    groups = [range(start, start + group_size) for start in range(0, len(scored), group_size)]
    telling = next((group for group in groups if any(advantages[at] for at in group)), groups[0])
    picked: dict[int, None] = {}  # an ordered set
    for group in (telling, groups[-1]):
        ranked = sorted(group, key=lambda at: scored[at].reward.total)
        picked |= dict.fromkeys((ranked[-1], ranked[0]))
    return [
        {
            "step": step,
            "id": scored[at].row_id,
            "prompt": scored[at].prompt,
            "completion": scored[at].completion,
            "tokens": scored[at].graded.tokens,
            "reward": scored[at].reward.total,
            "parts": {
                "format": scored[at].reward.format,
                "accuracy": scored[at].reward.accuracy,
                "length": scored[at].reward.length_term,
            },
            "advantage": round(advantages[at], 6),
        }
        for at in picked
    ]
