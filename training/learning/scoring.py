"""Predictions of an evaluation → the figures of result.json. Without torch, so that the web app can import it."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from guardapp.guard.how_sure import Sampling
from guardapp.guard.measures.bootstrap import bootstrap_f1
from guardapp.guard.measures.calibration import average_precision, expected_calibration_error, reliability
from guardapp.guard.measures.fit_calibrator import fit
from guardapp.guard.measures.scores import POSITIVE, Outcome, Scores, score, scores_by_benchmark, weighted_average
from guardapp.guard.taxonomy import Harmfulness, Modality, Task

FIELD_BY_TASK = {Task.PROMPT: "prompt", Task.RESPONSE: "response"}
Prediction = Mapping[str, Any]


def outcome(prediction: Prediction, task: Task) -> Outcome:
    """The prediction's outcome for a task with a gold label."""
    field = FIELD_BY_TASK[task]
    predicted = prediction["predicted"][field]
    return Outcome(
        task=task,
        gold=Harmfulness(prediction["gold"][field]),
        predicted=Harmfulness(predicted) if predicted else None,
        modality=Modality(prediction["modality"]),
        categories=tuple(prediction["categories"]),
        benchmark=prediction["source"],
    )


def scored(predictions: Sequence[Prediction], *, resamples: int, seed: int) -> dict[str, Any]:
    """Counts, costs and scores by task: over all rows, and by modality, source and gold category; and the fits of the
    calibration, {side: {sampling: Fitted}}.

    Every rate is from 0 to 1. `f1_low` and `f1_high` are the 95% bootstrap interval of F1. `averages` are means over
    sources weighted by scored rows, as in the published tables. `ms_per_row` is a row's share of its batch's time.
    """

    def by_task(rows: Sequence[Prediction]) -> dict[str, Any]:
        return {task.value: _of_task(rows, task, resamples, seed) for task in FIELD_BY_TASK if _labelled(rows, task)}

    def by_task_of_each(keys: Callable[[Prediction], Iterable[str]]) -> dict[str, Any]:
        names = sorted({key for row in predictions for key in keys(row)})
        return {name: by_task([row for row in predictions if name in keys(row)]) for name in names}

    unparsed = sum(not row["parsed"] for row in predictions)
    tokens, ms = sum(row["tokens"] for row in predictions), sorted(row["ms"] for row in predictions)
    count = max(len(predictions), 1)
    fits, after = _calibrations(predictions, seed)
    tasks = by_task(predictions)
    for task, measured in after.items():
        tasks[task.value] |= measured
    return {
        "rows": len(predictions),
        "parse_failures": unparsed,
        "parse_failure_rate": unparsed / len(predictions) if predictions else 0.0,
        "unfinished": sum(not row["finished"] for row in predictions),
        "tokens": tokens,
        "tokens_per_row": round(tokens / count, 2),
        "seconds": round(sum(ms) / 1000, 2),
        "ms_per_row": round(sum(ms) / count, 2),
        "ms_p95": ms[math.ceil(0.95 * len(ms)) - 1] if ms else 0.0,
        "tasks": tasks,
        "calibration": fits,
        "averages": {task.value: averages(predictions, task) for task in FIELD_BY_TASK if _labelled(predictions, task)},
        "modalities": by_task_of_each(lambda row: [row["modality"]]),
        "sources": by_task_of_each(lambda row: [row["source"]]),
        "categories": by_task_of_each(lambda row: row["categories"]),
    }


def averages(rows: Sequence[Prediction], task: Task) -> dict[str, Any]:
    """Means over sources, weighted by scored rows.

    F1, precision and recall are meaningless for a source without positives, and the false-positive rate for one without
    negatives; such sources are excluded. An average over no source is None.
    """
    by_source = scores_by_benchmark(outcome(row, task) for row in _labelled(rows, task))
    with_positives = {name: scores for name, scores in by_source.items() if scores.positives}
    with_negatives = {name: scores for name, scores in by_source.items() if scores.negatives}
    return {
        "sources": len(by_source),
        "n": sum(scores.n for scores in by_source.values()),
        "f1": _average(with_positives, lambda scores: scores.f1),
        "precision": _average(with_positives, lambda scores: scores.precision),
        "recall": _average(with_positives, lambda scores: scores.recall),
        "accuracy": _average(by_source, lambda scores: scores.accuracy),
        "false_positive_rate": _average(with_negatives, lambda scores: scores.false_positive_rate),
    }


def _average(by_source: Mapping[str, Scores], metric: Callable[[Scores], float]) -> float | None:
    return weighted_average(by_source, metric) if by_source else None


def _calibrations(rows: Sequence[Prediction], seed: int) -> tuple[dict[str, Any], dict[Task, dict[str, Any]]]:
    """The fits by side and sampling, and by task what they make of the probabilities that serving shows.

    These are the marginals with rollouts where there are any, else those of the greedy completions; the calibrated ones
    are by cross-validation.
    """
    fits: dict[str, Any] = {}
    after: dict[Task, dict[str, Any]] = {}
    for task, side in FIELD_BY_TASK.items():
        for sampling in Sampling:
            known = [
                (marginal, row["gold"][side] == POSITIVE[task])
                for row in _labelled(rows, task)
                if (marginal := row.get("marginals", {}).get(side, {}).get(sampling.value)) is not None
            ]
            if not known:
                continue
            marginals, positives = [one for one, _ in known], [positive for _, positive in known]
            fitted, calibrated = fit(marginals, positives, seed=seed)
            fits.setdefault(side, {})[sampling.value] = fitted.as_json()
            after[task] = {  # the sampled ones, which come last, if there are any
                "calibration_error": fitted.ece_before,
                "calibration_error_after": fitted.ece_after,
                "calibrated_rows": fitted.rows,
                "reliability": _curve(marginals, positives),
                "reliability_after": _curve(calibrated, positives),
            }
    return fits, after


def _curve(probabilities: Sequence[float], positives: Sequence[bool]) -> list[dict[str, Any]]:
    return [
        {"low": one.low, "high": one.high, "n": one.n, "mean_score": one.mean_score, "positives": one.positives}
        for one in reliability(probabilities, positives)
    ]


def _labelled(rows: Sequence[Prediction], task: Task) -> list[Prediction]:
    return [row for row in rows if row["gold"][FIELD_BY_TASK[task]]]


def _of_task(rows: Sequence[Prediction], task: Task, resamples: int, seed: int) -> dict[str, Any]:
    labelled = _labelled(rows, task)
    sure = [
        (row["scores"][FIELD_BY_TASK[task]], row["gold"][FIELD_BY_TASK[task]] == POSITIVE[task]) for row in labelled
    ]
    probabilities = [probability for probability, _ in sure if probability is not None]
    positives = [positive for probability, positive in sure if probability is not None]
    return counted([outcome(row, task) for row in labelled], resamples=resamples, seed=seed) | {
        "average_precision": average_precision(probabilities, positives),
        "calibration_error": expected_calibration_error(probabilities, positives),
        "reliability": _curve(probabilities, positives),
    }


def counted(outcomes: Sequence[Outcome], *, resamples: int, seed: int) -> dict[str, Any]:
    """Figures that depend only on the labels: counts, rates from 0 to 1, and F1 with its 95% interval."""
    scores = score(outcomes)
    interval = bootstrap_f1(outcomes, resamples=resamples, seed=seed)
    return {
        "n": scores.n,
        "positives": scores.positives,
        "negatives": scores.negatives,
        "unparsed": scores.unparsed,
        "tp": scores.tp,
        "fp": scores.fp,
        "fn": scores.fn,
        "tn": scores.tn,
        "f1": scores.f1,
        "f1_low": interval.low,
        "f1_high": interval.high,
        "precision": scores.precision,
        "recall": scores.recall,
        "accuracy": scores.accuracy,
        "false_positive_rate": scores.false_positive_rate,
        "parse_failure_rate": scores.parse_failure_rate,
    }
