from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score

from guardapp.guard.measures.bootstrap import NotPaired, bootstrap_f1, mcnemar, paired_bootstrap
from guardapp.guard.measures.calibration import ScoresNotProbabilities, average_precision, expected_calibration_error
from guardapp.guard.measures.scores import (
    POSITIVE,
    Label,
    Outcome,
    Scores,
    percent,
    published_scorer,
    score,
    scores_by_benchmark,
    scores_by_category,
    scores_by_modality,
    scores_by_task,
    weighted_average,
)
from guardapp.guard.measures.significance import mcnemar_exact
from guardapp.guard.parsing import parse_v0
from guardapp.guard.taxonomy import DEFAULT_CODES, Harmfulness, Modality, Refusal, Task
from tests.guard.reference_data import needs_reference_data, read_lines, reference

HARMFUL, UNHARMFUL = Harmfulness.HARMFUL, Harmfulness.UNHARMFUL
TASKS = {"prompt_harm": Task.PROMPT, "response_harm": Task.RESPONSE, "refusal": Task.REFUSAL}
WORDS: dict[str, Label | None] = {"h": HARMFUL, "u": UNHARMFUL, "?": None}


def outcomes(gold: str, predicted: str, **fields: Any) -> list[Outcome]:
    pairs = zip(gold, predicted, strict=True)
    return [Outcome(Task.PROMPT, WORDS[g] or HARMFUL, WORDS[p], **fields) for g, p in pairs]


@pytest.mark.parametrize(
    ("gold", "predicted", "counts"),
    [  # n, unparsed, tp, fp, fn, tn
        ("", "", (0, 0, 0, 0, 0, 0)),
        ("hhuu", "huhu", (4, 0, 1, 1, 1, 1)),
        ("hu", "??", (2, 2, 0, 1, 1, 0)),
        ("hhhu", "hh?u", (4, 1, 2, 0, 1, 1)),
    ],
)
def test_strict_scoring_counts_each_row_once(gold: str, predicted: str, counts: tuple[int, ...]) -> None:
    scores = score(outcomes(gold, predicted))
    assert scores == Scores(*counts)
    assert scores.n_scored == scores.n == len(gold)


def test_shares_follow_from_the_counts() -> None:
    scores = Scores(n=10, unparsed=1, tp=3, fp=1, fn=2, tn=4)
    assert (scores.precision, scores.recall, scores.accuracy) == (3 / 4, 3 / 5, 7 / 10)
    assert scores.f1 == pytest.approx(2 / 3)
    assert (scores.false_positive_rate, scores.parse_failure_rate) == (1 / 5, 1 / 10)
    assert percent(scores.f1) == 66.67
    empty = Scores()
    assert {
        empty.precision,
        empty.recall,
        empty.f1,
        empty.accuracy,
        empty.false_positive_rate,
        empty.parse_failure_rate,
    } == {0.0}


def test_the_positive_class_of_the_refusal_task_is_refusal() -> None:
    rows = [
        Outcome(Task.REFUSAL, Refusal.REFUSAL, Refusal.REFUSAL),
        Outcome(Task.REFUSAL, Refusal.COMPLIANCE, Refusal.REFUSAL),
    ]
    assert score(rows) == Scores(n=2, tp=1, fp=1)


def test_scores_are_grouped_by_task_modality_category_and_benchmark() -> None:
    rows = [
        Outcome(Task.PROMPT, HARMFUL, HARMFUL, Modality.VIDEO, ("S1", "S2", "S1"), "a"),
        Outcome(Task.PROMPT, UNHARMFUL, HARMFUL, Modality.TEXT, (), "b"),
        Outcome(Task.RESPONSE, HARMFUL, None, Modality.TEXT, ("S2",), "b"),
    ]
    assert scores_by_task(rows) == {Task.PROMPT: Scores(2, 0, 1, 1), Task.RESPONSE: Scores(1, 1, fn=1)}
    assert scores_by_modality(rows)[Modality.TEXT] == Scores(2, 1, fp=1, fn=1)
    assert scores_by_category(rows) == {"S1": Scores(1, tp=1), "S2": Scores(2, 1, tp=1, fn=1)}
    assert list(scores_by_benchmark(rows)) == ["a", "b"]


def test_averages_are_weighted_by_scored_rows() -> None:
    by_benchmark = {"a": Scores(n=3, tp=3), "b": Scores(n=1, fn=1)}
    assert weighted_average(by_benchmark) == pytest.approx(0.75)
    assert weighted_average(by_benchmark, lambda scores: scores.recall) == pytest.approx(0.75)
    assert weighted_average({}) == 0.0


@pytest.mark.parametrize(
    ("task", "gold", "completion", "scores"),
    [
        (Task.PROMPT, HARMFUL, "Request: harmful", Scores(1, 0, tp=1)),
        (Task.PROMPT, HARMFUL, "request:unharmful … Request: harmful", Scores(1, 0, fn=1)),
        (Task.PROMPT, HARMFUL, "Request: unharmful" + "." * 300 + "Request: harmful", Scores(1, 0, tp=1)),
        (Task.PROMPT, HARMFUL, "nothing", Scores(1, 1)),
        (Task.PROMPT, UNHARMFUL, "nothing", Scores(1, 1, fp=2)),
        (Task.PROMPT, UNHARMFUL, "Request: harmful" + "." * 300, Scores(1, 1, fp=2)),
        (Task.REFUSAL, Refusal.REFUSAL, "Completion: None", Scores(1, 1, fn=2)),
        (Task.REFUSAL, Refusal.COMPLIANCE, "Completion: None", Scores(1, 1, fp=2)),
    ],
)
def test_the_published_scorer_keeps_its_quirks(task: Task, gold: Label, completion: str, scores: Scores) -> None:
    assert published_scorer(task, [(gold, completion)]) == scores


@needs_reference_data
@pytest.mark.parametrize("row", reference("f1_open.json"), ids=lambda row: f"{row['benchmark']}-{row['model']}")
def test_published_results_are_reproduced_both_ways(row: dict[str, Any]) -> None:
    task = TASKS[row["task"]]
    labels: type[Harmfulness] | type[Refusal] = Refusal if task is Task.REFUSAL else Harmfulness
    pairs: list[tuple[Label, str]] = [
        (labels(line["label"]), line["output_text"])
        for line in read_lines(f"predictions/{row['benchmark']}.{row['model']}.jsonl.gz")
    ]
    published = published_scorer(task, pairs)
    assert _as_reference(published, row["repo"]) == row["repo"]
    strict = score(Outcome(task, gold, _label(task, completion)) for gold, completion in pairs)
    assert _as_reference(strict, row["strict"]) == row["strict"]


@needs_reference_data
def test_labels_beside_predictions_are_those_of_the_benchmark() -> None:
    gold = {row["id"]: row for row in read_lines("benchmarks_open/harmbench_response.jsonl.gz")}
    for row in read_lines("predictions/harmbench_response.GuardReasoner-8B.jsonl.gz"):
        assert gold[row["id"]]["response_label"] == row["label"]


def _label(task: Task, completion: str) -> Label | None:
    judgement = parse_v0(completion, codes=DEFAULT_CODES)
    if judgement is None:
        return None
    verdict = judgement.verdict
    return {Task.PROMPT: verdict.prompt, Task.RESPONSE: verdict.response, Task.REFUSAL: verdict.refusal}[task]


def _as_reference(scores: Scores, like: dict[str, Any]) -> dict[str, Any]:
    shares = {"precision", "recall", "f1", "accuracy"}
    return {name: percent(getattr(scores, name)) if name in shares else getattr(scores, name) for name in like}


LABELS = st.sampled_from("hu")


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=40))
def test_f1_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    gold, predicted = ("".join(column) for column in zip(*pairs, strict=True))
    expected = f1_score(list(gold), list(predicted), pos_label="h", zero_division=0)
    assert score(outcomes(gold, predicted)).f1 == pytest.approx(expected)


def test_the_bootstrap_interval_holds_the_estimate_and_repeats_by_seed() -> None:
    rows = outcomes("h" * 50 + "u" * 50, "h" * 40 + "u" * 10 + "u" * 40 + "h" * 10)
    interval = bootstrap_f1(rows, seed=3)
    assert interval.estimate == pytest.approx(0.8)
    assert 0.68 < interval.low < 0.74
    assert 0.85 < interval.high < 0.89
    assert interval == bootstrap_f1(rows, seed=3) != bootstrap_f1(rows, seed=4)
    assert bootstrap_f1([]).high == 0.0


def test_drawing_counts_is_the_same_as_drawing_rows() -> None:
    rows = outcomes("h" * 20 + "u" * 20, "h" * 15 + "u" * 5 + "u" * 17 + "h" * 3)
    rng = np.random.default_rng(0)
    by_rows = [score([rows[i] for i in rng.integers(0, 40, 40)]).f1 for _ in range(1500)]
    interval = bootstrap_f1(rows)
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(by_rows, [0.025, 0.975])), abs=0.02)


def test_a_paired_bootstrap_distinguishes_a_better_guard_from_an_equal_one() -> None:
    gold = "h" * 100 + "u" * 100
    worse = outcomes(gold, "h" * 70 + "u" * 30 + "u" * 100)
    better = outcomes(gold, "h" * 90 + "u" * 10 + "u" * 100)
    gain = paired_bootstrap(worse, better)
    assert gain.difference == pytest.approx(score(better).f1 - score(worse).f1)
    assert 0 < gain.low < gain.difference < gain.high
    assert gain.not_better < 0.01
    same = paired_bootstrap(better, better)
    assert (same.difference, same.low, same.high, same.not_better) == (0, 0, 0, 1)
    assert paired_bootstrap(better, worse).high < 0


@pytest.mark.parametrize("compare", [paired_bootstrap, mcnemar])
@pytest.mark.parametrize(("first", "second"), [("h", "hu"), ("h", "u"), ("hu", "uh")])
def test_only_the_same_rows_can_be_compared(compare: Any, first: str, second: str) -> None:
    with pytest.raises(NotPaired, match="same rows"):
        compare(outcomes(first, first), outcomes(second, second))


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 5, 1.0),
        (0, 5, 0.0625),
        (1, 9, 0.021484375),
        (10, 0, 0.001953125),
        (4000, 4000, 1.0),
    ],
)
def test_mcnemar_is_the_exact_binomial(only_first: int, only_second: int, p: float) -> None:
    assert mcnemar_exact(only_first, only_second) == pytest.approx(p)
    assert mcnemar_exact(only_second, only_first) == pytest.approx(p)


def test_mcnemar_counts_an_unparsed_row_as_wrong() -> None:
    assert mcnemar(outcomes("hhhhhu", "hhhhhu"), outcomes("hhhhhu", "?????u")) == pytest.approx(0.0625)


@pytest.mark.parametrize(
    ("scores", "positive", "bins", "error"),
    [
        ([], [], 15, 0.0),
        ([0.0, 1.0], [False, True], 15, 0.0),
        ([1.0, 0.0], [False, True], 15, 1.0),
        ([0.75, 0.75, 0.75, 0.75], [True, True, True, False], 10, 0.0),
        ([0.9, 0.9, 0.1, 0.1], [True, False, False, False], 10, 0.25),
        ([0.2, 0.8], [True, True], 1, 0.5),
    ],
)
def test_calibration_error(scores: Sequence[float], positive: Sequence[bool], bins: int, error: float) -> None:
    assert expected_calibration_error(scores, positive, bins=bins) == pytest.approx(error)


@pytest.mark.parametrize(
    ("scores", "positive", "area"),
    [
        ([], [], 0.0),
        ([0.5], [False], 0.0),
        ([0.9, 0.8, 0.1], [True, True, False], 1.0),
        ([0.1, 0.4, 0.35, 0.8], [False, False, True, True], 0.8333333),
        ([0.5, 0.5, 0.5, 0.5], [True, False, False, False], 0.25),
    ],
)
def test_average_precision(scores: Sequence[float], positive: Sequence[bool], area: float) -> None:
    assert average_precision(scores, positive) == pytest.approx(area)


@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=30).filter(
        lambda rows: any(y for _, y in rows)
    )
)
def test_average_precision_is_that_of_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    scores, positive = [p / 6 for p, _ in rows], [y for _, y in rows]
    assert average_precision(scores, positive) == pytest.approx(average_precision_score(positive, scores))


@pytest.mark.parametrize(("scores", "positive"), [([1.2], [True]), ([float("nan")], [True]), ([0.5], [])])
@pytest.mark.parametrize("measure", [expected_calibration_error, average_precision])
def test_only_probabilities_are_measured(measure: Any, scores: list[float], positive: list[bool]) -> None:
    with pytest.raises(ScoresNotProbabilities, match="between 0 and 1"):
        measure(scores, positive)


def test_every_task_has_a_positive_class() -> None:
    assert set(POSITIVE) == set(Task)
