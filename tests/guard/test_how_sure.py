"""The probability of harm: the mean over completions, calibrated, and what it never does."""

from dataclasses import replace

import pytest

from guardapp.guard.actions import HARMFUL, scores_of
from guardapp.guard.how_sure import (
    Calibration,
    Calibrator,
    HowSure,
    Method,
    Sampling,
    Side,
    contradicts,
    how_sure,
    marginal_of,
)
from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Judgement, Rollout, Verdict

H, U = Harmfulness.HARMFUL, Harmfulness.UNHARMFUL


def said(label: Harmfulness | None, score: float | None, *categories: str, side: Side = "prompt") -> Rollout:
    verdict = Verdict(label, None, categories=categories) if side == "prompt" else Verdict(U, label)
    scores = (score, None) if side == "prompt" else (0.0, score)
    return Rollout("…", Judgement(("A step.",), verdict), 5, True, *scores)


UNREADABLE = Rollout("?", None, 5)


@pytest.mark.parametrize("side", ["prompt", "response"])
def test_four_rollouts_that_say_the_opposite_pull_the_number_down(side: Side) -> None:
    completions = [said(H, 1.0, side=side), *[said(U, 0.0, side=side)] * 4]
    assert how_sure(completions, side) == HowSure(conditional=1.0, marginal=0.2, harm=0.2)


@pytest.mark.parametrize(
    ("completions", "marginal"),
    [
        ([said(H, 0.9)], 0.9),
        ([said(H, 0.9), said(U, 0.1), UNREADABLE], 0.5),
        ([UNREADABLE, said(U, 0.2)], 0.2),
        ([said(H, None)], None),  # a label alone is no probability
        ([said(H, None), said(H, None), said(U, None), said(U, None)], 0.5),  # of several, the share is
        ([said(H, 0.8), said(U, None)], 0.4),
        ([said(None, None), said(H, 0.6)], 0.6),
        ([UNREADABLE, UNREADABLE], None),
        ([replace(UNREADABLE, prompt_score=0.9)], None),  # its label was read, and the rest was not
        ([replace(UNREADABLE, prompt_score=0.9), said(H, None)], None),
    ],
)
def test_the_marginal_is_the_mean_of_the_completions_with_a_label(
    completions: list[Rollout], marginal: float | None
) -> None:
    assert marginal_of(completions, "prompt") == (None if marginal is None else pytest.approx(marginal))


def test_nothing_that_says_anything_gives_no_number() -> None:
    assert how_sure([UNREADABLE], "prompt") == how_sure([said(H, 0.9)], "response") == HowSure()


def test_temperature_moves_towards_one_half_and_never_across() -> None:
    calibrator = Calibrator(Method.TEMPERATURE, 400, temperature=3.0)
    values = [calibrator.of(p) for p in (0.0, 0.1, 0.5, 0.9, 0.99, 1.0)]
    assert values == sorted(values) and values[2] == 0.5
    assert 0.5 < values[3] < 0.9 and values[0] > 0 and values[-1] < 1


def test_isotonic_is_linear_between_its_knots_and_flat_outside() -> None:
    calibrator = Calibrator(Method.ISOTONIC, 2_000, knots=((0.2, 0.1), (0.4, 0.1), (0.8, 0.7)))
    assert [calibrator.of(p) for p in (0.0, 0.2, 0.3, 0.6, 0.8, 1.0)] == pytest.approx([0.1, 0.1, 0.1, 0.4, 0.7, 0.7])


@pytest.mark.parametrize(
    "calibrator",
    [
        Calibrator(rows=12),
        Calibrator(Method.TEMPERATURE, 400, temperature=1.7),
        Calibrator(Method.ISOTONIC, 1_200, knots=((0.0, 0.01), (1.0, 0.9))),
    ],
)
def test_a_calibrator_is_the_same_after_json(calibrator: Calibrator) -> None:
    assert Calibrator.from_json(calibrator.as_json()) == calibrator


def test_the_greedy_completion_alone_has_a_calibrator_of_its_own() -> None:
    calibration = Calibration(
        {
            "prompt": {
                Sampling.GREEDY: Calibrator(Method.TEMPERATURE, 400, temperature=4.0),
                Sampling.SAMPLED: Calibrator(Method.TEMPERATURE, 400, temperature=2.0),
            }
        }
    )
    alone, sampled = (
        how_sure([said(H, 0.9)], "prompt", calibration),
        how_sure([said(H, 0.9)] * 5, "prompt", calibration),
    )
    assert alone.marginal == 0.9 and sampled.marginal == pytest.approx(0.9)
    assert alone.harm is not None and sampled.harm is not None and alone.harm < sampled.harm < 0.9
    assert how_sure([said(H, 0.9, side="response")], "response", calibration).harm == 0.9, "no fit for the response"


def test_moderation_scores_share_the_calibrated_probability_out() -> None:
    calibration = Calibration({"prompt": {Sampling.SAMPLED: Calibrator(Method.ISOTONIC, 2_000, knots=((0.5, 0.3),))}})
    scores = scores_of([said(H, 0.8, "S1"), said(U, 0.2)], calibration)
    assert (scores.harmful, scores.categories["S1"], scores.unnamed) == pytest.approx((0.3, 0.24, 0.06))
    assert scores.sure["prompt"] == HowSure(0.8, 0.5, 0.3) and HARMFUL not in scores.categories


@pytest.mark.parametrize(
    ("label", "harm", "found"),
    [
        ("harmful", 0.2, True),
        ("unharmful", 0.7, True),
        ("harmful", 0.7, False),
        ("harmful", 0.5, False),
        ("unharmful", 0.5, False),
        (None, 0.9, False),
        ("harmful", None, False),
    ],
)
def test_a_probability_on_the_other_side_of_one_half_contradicts_the_verdict(
    label: str | None, harm: float | None, found: bool
) -> None:
    assert contradicts(label, harm) is found
