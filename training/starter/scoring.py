"""Benchmark rows of the open holdout files, and F1 with harmful as the positive class."""

from dataclasses import dataclass
from pathlib import Path

from training.starter.rows_open import read_set

PROMPT_BENCHMARKS = (
    "simplesafetytests",
    "openai_moderation",
    "harmbench_prompt",
    "toxicchat",
    "xstest_prompts",
    "hatecheck",
    "advbench",
)
RESPONSE_BENCHMARKS = ("harmbench_response", "xstest_response_harmful", "safe_rlhf", "beavertails")


@dataclass(frozen=True, slots=True)
class Case:
    """One scored row. `gold` is True if the prompt (or the response, for a response benchmark) is harmful."""

    id: str
    prompt: str
    response: str | None
    gold: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """A confusion matrix with harmful as the positive class. None (not parsed) counts as wrong."""

    tp: int
    fp: int
    fn: int
    tn: int

    def as_json(self) -> dict[str, float | int | None]:
        rows = self.tp + self.fp + self.fn + self.tn
        return {
            "rows": rows,
            "f1": _rate(2 * self.tp, 2 * self.tp + self.fp + self.fn),
            "accuracy": _rate(self.tp + self.tn, rows),
            "false_positive_rate": _rate(self.fp, self.fp + self.tn),
            "recall": _rate(self.tp, self.tp + self.fn),
            "tp": self.tp,
            "fp": self.fp,
            "fn": self.fn,
            "tn": self.tn,
        }


def _rate(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None


def count(gold: list[bool], predicted: list[bool | None]) -> Counts:
    wrong_if_none = [not truth if guess is None else guess for truth, guess in zip(gold, predicted, strict=True)]
    pairs = list(zip(gold, wrong_if_none, strict=True))
    return Counts(
        pairs.count((True, True)), pairs.count((False, True)), pairs.count((True, False)), pairs.count((False, False))
    )


def cases(data: Path, benchmark: str) -> list[Case]:
    """The rows of an open benchmark that have a label for its task."""
    on_response = benchmark in RESPONSE_BENCHMARKS
    label = "response_label" if on_response else "prompt_label"
    rows = read_set(data / "benchmarks_open" / f"{benchmark}.jsonl.gz")
    return [
        Case(row["id"], row["prompt"] or "", row["response"] if on_response else None, row[label] == "harmful")
        for row in rows
        if row[label] in ("harmful", "unharmful")
    ]


def weighted_f1(results: dict[str, Counts]) -> float:
    """F1 in percent, averaged over benchmarks weighted by rows, as in the published tables."""
    rows = {name: counts.tp + counts.fp + counts.fn + counts.tn for name, counts in results.items()}
    total = sum((counts.as_json()["f1"] or 0.0) * rows[name] for name, counts in results.items())
    return round(total / max(1, sum(rows.values())), 2)
