"""Baseline for the starter guard: TF-IDF with logistic regression on the same training rows.

`python -m training.starter.baseline --data DATA_DIR --rows RUN_DIR/rows.jsonl` prints JSON. There is one classifier per
task; from a few settings, the one with the best F1 on a tenth of the training rows is chosen and fitted on all of them.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import Pipeline, make_pipeline

from training.starter.scoring import PROMPT_BENCHMARKS, RESPONSE_BENCHMARKS, Counts, cases, count

Texts = tuple[list[str], list[bool]]


def input_text(prompt: str, response: str | None) -> str:
    """The text that the guard reads, without the fixed parts."""
    return prompt if response is None else f"{prompt}\n\nAI assistant:\n{response}"


def training_texts(rows: Sequence[dict[str, Any]], label: str) -> Texts:
    """Texts and gold labels of the text rows that have the label ("prompt" or "response")."""
    picked = [row for row in rows if not row["media"] and row["labels"][label]]
    with_response = label == "response"
    return (
        [input_text(row["prompt"], row["response"] if with_response else None) for row in picked],
        [row["labels"][label] == "harmful" for row in picked],
    )


def fit(texts: Texts, seed: int) -> tuple[Pipeline, dict[str, Any]]:
    """Choose the best of a few settings and fit it on all rows."""
    held = [number % 10 == 0 for number in range(len(texts[0]))]
    train = [pair for pair, hold in zip(zip(*texts, strict=True), held, strict=True) if not hold]
    tune = [pair for pair, hold in zip(zip(*texts, strict=True), held, strict=True) if hold]
    choices = [{"ngrams": (1, top), "c": c} for top in (1, 2) for c in (1.0, 10.0)]

    def score(choice: dict[str, Any]) -> float:
        model = _pipeline(choice, seed).fit([text for text, _ in train], [gold for _, gold in train])
        return float(f1_score([gold for _, gold in tune], model.predict([text for text, _ in tune])))

    best = max(choices, key=score)
    return _pipeline(best, seed).fit(*texts), best


def _pipeline(choice: dict[str, Any], seed: int) -> Pipeline:
    return make_pipeline(
        TfidfVectorizer(ngram_range=choice["ngrams"], sublinear_tf=True, min_df=2),
        LogisticRegression(C=choice["c"], max_iter=400, random_state=seed),
    )


class Teacher:
    """The baseline of one task, fitted on `rows`, as an estimate of how harmful the words of a text are."""

    def __init__(self, rows: Sequence[dict[str, Any]], label: str, seed: int) -> None:
        self._model = fit(training_texts(rows, label), seed)[0]

    def harmful(self, texts: Sequence[str]) -> list[float]:
        """Return the probability of harm for each text, 0 to 1."""
        return [float(share) for share in self._model.predict_proba(list(texts))[:, 1]] if texts else []


def run(data: Path, rows: list[dict[str, Any]], held_out: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """Evaluate on every text benchmark and on the held-out text rows.

    Returns {"settings", "benchmarks": {name: Counts}, "held_out"}.
    """
    results: dict[str, Counts] = {}
    settings: dict[str, Any] = {}
    own: dict[str, Counts] = {}
    for label, names in (("prompt", PROMPT_BENCHMARKS), ("response", RESPONSE_BENCHMARKS)):
        model, settings[label] = fit(training_texts(rows, label), seed)
        for name in names:
            scored = cases(data, name)
            guesses = [
                bool(guess) for guess in model.predict([input_text(case.prompt, case.response) for case in scored])
            ]
            results[name] = count([case.gold for case in scored], list(guesses))
        texts, gold = training_texts(held_out, label)
        own[label] = count(gold, [bool(guess) for guess in model.predict(texts)])
    return {"settings": settings, "benchmarks": results, "held_out": own}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=17)
    arguments = parser.parse_args()
    with arguments.rows.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    found = run(
        arguments.data,
        [row for row in rows if row["split"] == "train"],
        [row for row in rows if row["split"] == "holdout"],
        arguments.seed,
    )
    plain = {"settings": found["settings"]} | {
        part: {name: counts.as_json() for name, counts in found[part].items()} for part in ("benchmarks", "held_out")
    }
    sys.stdout.write(json.dumps(plain, indent=1) + "\n")


if __name__ == "__main__":
    main()
