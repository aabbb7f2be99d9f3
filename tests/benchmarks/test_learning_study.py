"""The learning study: its arithmetic, what it claims, and its jobs at toy size."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.studies.learning import ARMS, BASELINE, TOY, Study
from benchmarks.studies.learning_report import Answers, estimates, report
from guardapp.guard.rl.clip_range import SCHEDULES
from guardapp.guard.rl.rewards import REWARDS
from tests.guard.tiny_checkpoint import build_checkpoint
from tests.training.tiny_run import jobs_here

SAYS = {BASELINE: "the start", "better": "an arm"}


def line(gold: str, predicted: str | None, tokens: int = 30) -> dict[str, Any]:
    return {
        "gold": {"prompt": gold, "response": None},
        "predicted": {"prompt": predicted, "response": None},
        "parsed": predicted is not None,
        "tokens": tokens,
        "modality": "text",
        "categories": [],
        "source": "unseen-text",
    }


def answers(seed: int, wrong: int, *, rows: int = 60, unparsed: int = 0) -> Answers:
    """Half of the rows harmful; the first `wrong` are called the opposite, the last `unparsed` nothing."""
    lines = {}
    for number in range(rows):
        gold = "harmful" if number % 2 else "unharmful"
        opposite = "unharmful" if number % 2 else "harmful"
        said = opposite if number < wrong else None if number >= rows - unparsed else gold
        lines[f"row-{number:03}"] = line(gold, said, tokens=30 + seed)
    return Answers(seed, lines)


def test_a_clear_gain_is_named_and_an_unclear_one_is_not(tmp_path: Path) -> None:
    found = {
        BASELINE: [answers(1, 20), answers(1, 20)],
        "better": [answers(1, 2), answers(2, 3)],
        "same": [answers(1, 20), answers(2, 19)],
    }
    value = report(tmp_path, found, baseline=BASELINE, says=SAYS, seeds=2, command="this", setting={})
    f1, low, high = value["arms"][BASELINE]["f1_prompt"]
    assert f1 == pytest.approx(2 * 20 / (2 * 20 + 20), abs=1e-4)
    assert low < f1 < high
    gain, low, high = value["arms"]["better"]["f1_prompt_gain"]
    assert 0.1 < low < gain < high
    text = (tmp_path / "learning.md").read_text()
    assert "`better`: F1 of the prompt task higher" in text
    assert "`same`: F1 of the prompt task not shown to differ" in text
    assert "a few million parameters" in text
    assert value["missing"] == {}


def test_an_unparsed_answer_is_wrong_and_counted(tmp_path: Path) -> None:
    found = estimates({BASELINE: [answers(1, 0, unparsed=6)]}, BASELINE, resamples=200)
    assert found[BASELINE]["parse_failures"].value == pytest.approx(0.1)
    assert found[BASELINE]["f1_prompt"].value == pytest.approx(2 * 27 / (2 * 27 + 6))
    assert found[BASELINE]["tokens"].value == 31


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    value = report(
        tmp_path,
        {BASELINE: [answers(1, 5)], "better": []},
        baseline=BASELINE,
        says=SAYS,
        seeds=2,
        command="this",
        setting={},
    )
    assert value["missing"] == {BASELINE: 1, "better": 2}
    assert "not the whole study: sft (1 seed), better (2 seeds)" in (tmp_path / "learning.md").read_text()
    assert (
        report(tmp_path, {BASELINE: []}, baseline=BASELINE, says=SAYS, seeds=1, command="this", setting={})["arms"]
        == {}
    )


def test_every_arm_is_one_that_the_jobs_know() -> None:
    assert len({arm.name for arm in ARMS}) == len(ARMS)
    assert {arm.reward for arm in ARMS} <= {"", "sft", *REWARDS}
    assert {arm.clip_schedule for arm in ARMS} <= set(SCHEDULES)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_arms_at_toy_size(tmp_path: Path) -> None:
    study = Study(tmp_path / "work", str(build_checkpoint(tmp_path / "guard")), TOY)
    study.prepare()
    chosen = [next(arm for arm in ARMS if arm.name == name) for name in (BASELINE, "vl")]
    for arm in chosen:
        assert study.answers(arm, 17) is None
        with jobs_here():
            study.run(arm, 17)
        study.run(arm, 17)  # done: nothing is run again
    found = {arm.name: [one] for arm in chosen if (one := study.answers(arm, 17))}
    value = report(tmp_path / "out", found, baseline=BASELINE, says=SAYS, seeds=1, command="this", setting={})
    assert set(value["arms"]) == {BASELINE, "vl"}
    assert value["arms"]["vl"]["parse_failures"][0] == 1.0  # a random guard
