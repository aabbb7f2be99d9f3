"""The pure parts of GRPO: advantages, the objective, batches, the order of prompts, what a step reports."""

from itertools import islice

import pytest
import torch

from guardapp.guard.rl.clip_range import ClipRange
from guardapp.guard.rl.rewards import Graded, reward_named
from training.contract import ConfigNotUsable, GrpoConfig
from training.learning.grpo.batches import Batches
from training.learning.grpo.data import PromptOrder
from training.learning.grpo.loss import clipped_policy_loss, row_weights
from training.learning.grpo.sampling import until_end
from training.learning.grpo.scoring import Scored, group_advantages, rollout_metrics, shown_rollouts


def config(**fields: float | str) -> GrpoConfig:
    return GrpoConfig("base", "rows", "media", **fields)  # type: ignore[arg-type]


def test_an_advantage_is_the_distance_from_the_groups_mean_in_its_own_std() -> None:
    found = group_advantages(torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 2.0, 3.0]]))
    assert found[0].tolist() == pytest.approx([0.75 / (0.5 + 1e-6), *[-0.25 / (0.5 + 1e-6)] * 3])
    assert found[1].tolist() == pytest.approx([-1.1618950, -0.3872983, 0.3872983, 1.1618950], abs=1e-5)


def test_a_group_of_equal_rewards_has_no_advantage_at_all() -> None:
    """The mean of seven times 0.936 is not 0.936 in floating point: a millionth as the std's offset would let that
    through.
    """
    found = group_advantages(torch.tensor([[0.936] * 7, [-12.5] * 7], dtype=torch.float64))
    assert (found == 0).all()


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "clipped"),
    [
        (1.0, 2.0, -2.0, False),
        (1.5, 2.0, -2.6, True),  # raised enough already: 1 + 0.3
        (0.5, 2.0, -1.0, False),  # lowered though it was good: pulled back without a bound
        (0.5, -2.0, 1.6, True),  # lowered enough already: 1 - 0.2
        (1.5, -2.0, 3.0, False),
    ],
)
def test_the_objective_is_ppos(ratio: float, advantage: float, loss: float, clipped: bool) -> None:
    logps = torch.tensor([[ratio]]).log().requires_grad_()
    found = clipped_policy_loss(logps, torch.zeros(1, 1), torch.tensor([advantage]), ClipRange(0.2, 0.3))
    assert found.loss.item() == pytest.approx(loss)
    assert bool(found.clipped) is clipped
    found.loss.sum().backward()
    assert logps.grad is not None
    assert (logps.grad.item() == 0) is clipped


def test_what_a_row_weighs() -> None:
    tokens, kept = torch.tensor([4, 1, 3]), torch.tensor([True, True, False])
    assert row_weights(tokens, kept, token_mean=True, total=5).tolist() == pytest.approx([0.2, 0.2, 0.0])
    assert row_weights(tokens, kept, token_mean=False, total=2).tolist() == pytest.approx([0.125, 0.5, 0.0])
    assert row_weights(tokens, torch.zeros(3, dtype=torch.bool), token_mean=True, total=0).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("fields", "processes", "expected"),
    [
        # vl: 512 prompts x 16 a rollout batch, 256 completions an update
        ({"group_size": 16, "prompts_per_batch": 512, "update_batch": 256, "micro_batch": 8}, 8, (8, 4, 128, 32, 1)),
        # omni-v2: one update a rollout batch
        ({"group_size": 8, "prompts_per_batch": 16, "update_batch": 128, "micro_batch": 8}, 1, (8, 16, 16, 1, 1)),
        # an update from two rollout batches
        ({"group_size": 4, "prompts_per_batch": 2, "update_batch": 16, "micro_batch": 4}, 1, (4, 4, 2, 1, 2)),
        # a forward pass is made smaller until it divides the batches
        ({"group_size": 6, "prompts_per_batch": 2, "update_batch": 6, "micro_batch": 4}, 1, (3, 2, 4, 2, 1)),
    ],
)
def test_how_batches_fit_together(fields: dict[str, int], processes: int, expected: tuple[int, ...]) -> None:
    found = Batches.plan(config(**fields), processes)
    assert (found.micro, found.accumulation, found.per_rollout, found.updates, found.rollouts) == expected


def test_batches_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigNotUsable, match="prompts_per_batch=3 is not divisible by the 2 processes"):
        Batches.plan(config(prompts_per_batch=3), 2)
    with pytest.raises(ConfigNotUsable, match="update_batch=9 is not divisible by the 2 processes"):
        Batches.plan(config(prompts_per_batch=2, update_batch=9), 2)


def test_the_order_follows_from_seed_and_epoch_and_leaves_no_row_out() -> None:
    def order(epoch: int, seed: int = 1) -> list[int]:
        sampler = PromptOrder(5, group_size=2, batch=2, block=4, repeats=3, seed=seed)
        sampler.set_epoch(epoch)
        found = list(sampler)
        assert len(found) == len(sampler) == 8 * 2 * 3  # 5 rows are filled up to 8
        return found

    first = order(0)
    assert first == order(0)
    assert first != order(1)
    assert first != order(0, seed=2)
    assert set(first) == set(range(5))
    assert first[:4] == first[4:8] == first[8:12]  # one rollout batch, once for each forward pass
    assert first[0] == first[1] != first[2] == first[3]
    few = PromptOrder(1, group_size=2, batch=2, block=2, repeats=1, seed=1)
    assert list(islice(few, 4)) == [0, 0, 0, 0]


def test_a_completion_ends_with_its_end_token() -> None:
    assert until_end([5, 6, 2, 0, 0], [2, 3]) == [5, 6, 2]
    assert until_end([5, 6, 7], [2, 3]) == [5, 6, 7]


def scored(name: str, *, right: bool, tokens: int, row: str = "a", parsed: bool = True) -> Scored:
    graded = Graded(parsed, right, None, tokens, 100)
    return Scored(row, "prompt", f"{right} {tokens}", parsed, graded, reward_named(name)(graded))


def test_what_a_step_reports_of_its_rollouts() -> None:
    groups = [
        scored("omni-v1", right=right, tokens=tokens)
        for right, tokens in ((True, 10), (True, 20), (True, 30), (False, 300))
    ]
    groups += [scored("omni-v1", right=False, tokens=100, row="b") for _ in range(4)]
    groups += [scored("omni-v1", right=True, tokens=5, row="c")] * 4
    found = rollout_metrics(groups, 4, "omni-v1")
    assert found["pass_rate"] == pytest.approx(7 / 12, abs=1e-6)
    assert found["zero_advantage_groups"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["saturated_right"] == found["saturated_wrong"] == pytest.approx(1 / 3, abs=1e-6)
    assert found["advantage_max_share"] == pytest.approx(0.75)  # one of four stands alone
    assert (found["completion_tokens_max"], found["reward_format"], found["parse_failure_rate"]) == (300, 1.0, 0.0)
    assert "reward_omni_v2" not in found


def test_a_run_with_one_omni_v2_reward_shows_the_other_too() -> None:
    long = [scored("omni-v2-released", right=True, tokens=500), scored("omni-v2-released", right=True, tokens=100)]
    found = rollout_metrics(long, 2, "omni-v2-released")
    assert found["reward_omni_v2_released"] == 1.0
    assert found["reward_omni_v2"] == pytest.approx(1 - 0.3046 / 2, abs=1e-4)
    assert found["zero_advantage_groups"] == 1.0
    assert (
        rollout_metrics(
            [scored("omni-v2", right=True, tokens=500), scored("omni-v2", right=True, tokens=100)], 2, "omni-v2"
        )["zero_advantage_groups"]
        == 0.0
    )


def test_the_rollouts_to_read_are_the_best_and_worst_of_a_telling_group() -> None:
    flat = [scored("omni-v1", right=True, tokens=5, row="flat")] * 3
    telling = [scored("omni-v1", right=right, tokens=9, row="telling") for right in (False, True, False)]
    lines = shown_rollouts([*flat, *telling, *flat], [0.0] * 3 + [-0.5, 1.0, -0.5] + [0.0] * 3, 3, step=7)
    assert [(line["id"], line["advantage"]) for line in lines] == [
        ("telling", 1.0),
        ("telling", -0.5),
        ("flat", 0.0),
        ("flat", 0.0),
    ]
    assert all(line["step"] == 7 for line in lines)
