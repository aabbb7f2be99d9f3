"""Scores by category and the action that thresholds make of them, as tables."""

import pytest

from guardapp.guard.actions import HARMFUL, Action, Scores, Threshold, decide, scores_of
from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Judgement, Rollout, Verdict

H, U = Harmfulness.HARMFUL, Harmfulness.UNHARMFUL


def said(
    prompt: Harmfulness,
    score: float | None,
    *categories: str,
    response: Harmfulness | None = None,
    response_score: float | None = None,
) -> Rollout:
    return Rollout(
        "…", Judgement(("A step.",), Verdict(prompt, response, categories=categories)), 5, True, score, response_score
    )


UNREADABLE = Rollout("?", None, 5)


@pytest.mark.parametrize(
    ("rollouts", "harmful", "unnamed", "categories"),
    [
        ([said(U, 0.1)], 0.1, 0.1, {}),
        ([said(H, 0.9, "S1")], 0.9, 0.0, {"S1": 0.9}),
        ([said(H, 0.9)], 0.9, 0.9, {}),
        ([said(H, None, "S1", "S9")], 1.0, 0.0, {"S1": 1.0, "S9": 1.0}),
        ([said(U, 0.2, response=H, response_score=0.8)], 0.8, 0.8, {}),
        ([said(U, None, response=U)], 0.0, 0.0, {}),
        ([said(H, 0.8, "S1"), said(U, 0.2)], 0.5, 0.1, {"S1": 0.4}),
        ([said(H, 1.0, "S1"), said(H, 1.0, "S2"), UNREADABLE], 1.0, 0.0, {"S1": 0.5, "S2": 0.5}),
        ([UNREADABLE], 0.0, 0.0, {}),
    ],
)
def test_scores_are_means_over_the_completions_that_parse(
    rollouts: list[Rollout], harmful: float, unnamed: float, categories: dict[str, float]
) -> None:
    scores = scores_of(rollouts)
    assert scores.harmful == pytest.approx(harmful) and scores.unnamed == pytest.approx(unnamed)
    assert scores.categories == pytest.approx(categories)
    assert scores.readable == (rollouts[0].judgement is not None)


LENIENT_S5 = {"S5": Threshold(0.95, 1.1)}


@pytest.mark.parametrize(
    ("scores", "thresholds", "action", "because"),
    [
        (Scores(0.1, 0.1, {}), {}, Action.ALLOW, ""),
        (Scores(0.5, 0.5, {}), {}, Action.REVIEW, HARMFUL),
        (Scores(0.9, 0.9, {}), {}, Action.BLOCK, HARMFUL),
        (Scores(0.95, 0.0, {"S1": 0.95}), {}, Action.BLOCK, "S1"),
        (Scores(0.9, 0.0, {"S5": 0.9}), LENIENT_S5, Action.ALLOW, ""),
        (Scores(1.0, 0.0, {"S5": 1.0}), LENIENT_S5, Action.REVIEW, "S5"),
        (Scores(1.0, 0.0, {"S5": 1.0, "S1": 0.6}), LENIENT_S5, Action.REVIEW, "S5"),
        (Scores(1.0, 0.0, {"S5": 1.0, "S1": 0.9}), LENIENT_S5, Action.BLOCK, "S1"),
        (Scores(0.4, 0.4, {}), {HARMFUL: Threshold(0.3, 0.35)}, Action.BLOCK, HARMFUL),
        (Scores(0.0, 0.0, {}, readable=False), {}, Action.REVIEW, HARMFUL),
        (Scores(0.95, 0.95, {}, readable=False), {}, Action.BLOCK, HARMFUL),
    ],
)
def test_the_gravest_category_decides(
    scores: Scores, thresholds: dict[str, Threshold], action: Action, because: str
) -> None:
    assert decide(scores, thresholds) == (action, because)
