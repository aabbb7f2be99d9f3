"""Compute results.json and MODEL_CARD.md of a build from its rows, predictions and the baseline."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.starter.baseline import run as run_baseline
from training.starter.rows_open import open_sets
from training.starter.scoring import PROMPT_BENCHMARKS, RESPONSE_BENCHMARKS, Counts, count, weighted_f1

Rows = list[dict[str, Any]]
CARD = Path(__file__).with_name("model_card.md")
HELD_OUT_NAMES = {
    f"{seen}-{kind}": f"{kind}, {seen} topics"
    for seen in ("unseen", "seen")
    for kind in ("text", "long", "image", "video")
}
ORIGINS = {
    "harmfulqa": "declare-lab/red-instruct",
    "catqa_en": "declare-lab/red-instruct",
    "dangerousqa": "SALT-NLP/chain-of-thought-bias, via declare-lab/red-instruct",
    "cyberseceval_frr": "Meta, PurpleLlama CyberSecEval",
    "cyberseceval_interpreter": "Meta, PurpleLlama CyberSecEval",
    "hatemojibuild": "H. R. Kirk et al., HannahKirk/Hatemoji",
    "self_instruct": "Y. Wang et al., yizhongw/self-instruct",
    "gsm8k": "OpenAI, openai/grade-school-math",
}


def results(
    *,
    data: Path | None,
    train: Rows,
    held_out: Rows,
    predictions: Rows,
    seed: int,
    runs: dict[str, Any],
    plan: dict[str, Any],
    weights_bytes: int,
    parameters: int,
) -> dict[str, Any]:
    """Return every figure of the card, as JSON values."""
    answers = {line["id"]: line for line in predictions}
    by_source: dict[str, Rows] = {}
    for row in held_out:
        by_source.setdefault(row["source"], []).append(row)
    found: dict[str, Any] = {
        "seed": seed,
        "parameters": parameters,
        "weights_bytes": weights_bytes,
        "plan": plan,
        "runs": runs,
        "training_rows": dict(Counter(f"{row['source']}, {row['modality']}" for row in train)),
        "completion_tokens": round(sum(line["tokens"] for line in predictions) / max(1, len(predictions)), 1),
        "held_out": {name: _held_out(by_source[name], answers) for name in HELD_OUT_NAMES if name in by_source},
    }
    if data is None:
        return found
    baseline = run_baseline(data, train, by_source["unseen-text"], seed)
    found["sets"] = {entry.name: entry.license for entry in open_sets(data) if entry.name in ORIGINS}
    found["baseline_settings"] = baseline["settings"]
    for label, counts in baseline["held_out"].items():
        found["held_out"]["unseen-text"][f"tfidf_{label}"] = counts.as_json()
    found["benchmarks"], found["averages"] = {}, {}
    for task, names in (("prompt", PROMPT_BENCHMARKS), ("response", RESPONSE_BENCHMARKS)):
        starter = {name: _counts(by_source[name], answers, task) for name in names}
        for name in names:
            found["benchmarks"][name] = {
                "task": task,
                "starter": starter[name].as_json() | {"parse_failures": _failures(by_source[name], answers)},
                "tfidf": baseline["benchmarks"][name].as_json(),
            }
        found["averages"][task] = {
            "starter_f1": weighted_f1(starter),
            "tfidf_f1": weighted_f1({name: baseline["benchmarks"][name] for name in names}),
        }
    return found


def _held_out(rows: Rows, answers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Scores of one held-out source. `same_first_step`: share of rows whose first step equals the target's."""
    same = sum(_first_step(answers[row["id"]]["completion"]) == _first_step(row["completion"]) for row in rows)
    return {
        "rows": len(rows),
        "prompt": _counts(rows, answers, "prompt").as_json(),
        "response": _counts([row for row in rows if row["labels"]["response"]], answers, "response").as_json(),
        "parse_failures": _failures(rows, answers),
        "same_first_step": round(100 * same / len(rows), 2),
    }


def _counts(rows: Rows, answers: dict[str, dict[str, Any]], task: str) -> Counts:
    predicted = [answers[row["id"]]["predicted"][task] for row in rows]
    return count(
        [row["labels"][task] == "harmful" for row in rows],
        [None if word is None else word == "harmful" for word in predicted],
    )


def _failures(rows: Rows, answers: dict[str, dict[str, Any]]) -> int:
    return sum(not answers[row["id"]]["parsed"] for row in rows)


def _first_step(completion: str) -> str:
    return completion.partition("Step 1:")[2].partition("\n")[0].strip()


def model_card(found: dict[str, Any]) -> str:
    """Render the card: the template next to this file with the tables filled in."""
    minutes = sum(run["seconds"] for run in found["runs"].values()) / 60
    tokens = sum(run["tokens"] for run in found["runs"].values()) / 1e6
    values = {
        "seed": found["seed"],
        "parameters": f"{found['parameters'] / 1e6:.2f}",
        "minutes": f"{minutes:.0f}",
        "megabytes": f"{found['weights_bytes'] / 1e6:.1f}",
        "million_tokens": f"{tokens:.1f}",
        "completion_tokens": found["completion_tokens"],
        "rows_table": _rows_table(found),
        "held_out_table": _held_out_table(found),
        "benchmark_table": _benchmark_table(found),
        "losses": _losses(found),
        "false_alarms": _false_alarms(found),
        "long_inputs": _long_inputs(found),
        "sets_table": _sets_table(found),
    }
    card = CARD.read_text(encoding="utf-8")
    for name, value in values.items():
        card = card.replace(f"[[{name}]]", str(value))
    return card


def _rows_table(found: dict[str, Any]) -> str:
    lines = [f"| {name} | {rows} |" for name, rows in sorted(found["training_rows"].items())]
    return _table(["rows (source, modality)", "trained on"], lines)


def _sets_table(found: dict[str, Any]) -> str:
    lines = [f"| {name} | {ORIGINS[name]} | {license_} |" for name, license_ in found.get("sets", {}).items()]
    return _table(["set", "origin", "licence"], lines)


def _held_out_table(found: dict[str, Any]) -> str:
    lines = []
    for name, title in HELD_OUT_NAMES.items():
        one = found["held_out"].get(name)
        if one:
            prompt, response = one["prompt"], one["response"]
            lines.append(
                f"| {title} | {one['rows']} | {prompt['f1']} | {prompt['accuracy']} | {response['f1']} | "
                f"{response['accuracy']} | {one['same_first_step']} | {one['parse_failures']} |"
            )
    beside = found["held_out"].get("unseen-text", {})
    if "tfidf_prompt" in beside:
        prompt, response = beside["tfidf_prompt"], beside["tfidf_response"]
        lines.append(
            f"| TF-IDF + LR: text, unseen topics | {beside['rows']} | {prompt['f1']} | {prompt['accuracy']} | "
            f"{response['f1']} | {response['accuracy']} | | |"
        )
    head = "rows, n, prompt F1, prompt accuracy, response F1, response accuracy, first step word for word, not parsed"
    return _table(head.split(", "), lines)


def _benchmark_table(found: dict[str, Any]) -> str:
    lines = []
    for name, one in found.get("benchmarks", {}).items():
        ours, bar = one["starter"], one["tfidf"]
        lines.append(
            f"| {name} | {one['task']} | {ours['rows']} | {_bold(ours['f1'], bar['f1'])} | "
            f"{_bold(bar['f1'], ours['f1'])} | "
            f"{ours['accuracy']} | {bar['accuracy']} | {_or_dash(ours)} | {_or_dash(bar)} | {ours['parse_failures']} |"
        )
    for task, average in found.get("averages", {}).items():
        ours_f1, bar_f1 = average["starter_f1"], average["tfidf_f1"]
        lines.append(
            f"| average, weighted by rows | {task} | | {_bold(ours_f1, bar_f1)} | {_bold(bar_f1, ours_f1)} | | | | | |"
        )
    head = (
        "benchmark, task, rows, starter F1, TF-IDF F1, starter accuracy, TF-IDF accuracy, starter FPR, TF-IDF FPR, "
        "not parsed"
    )
    return _table(head.split(", "), lines)


def _table(head: Sequence[str], lines: Sequence[str]) -> str:
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines])


def _losses(found: dict[str, Any]) -> str:
    """One sentence naming the benchmarks on which the baseline is ahead."""
    behind = [name for name, one in found.get("benchmarks", {}).items() if one["starter"]["f1"] < one["tfidf"]["f1"]]
    return (
        f"By F1 it does not beat the baseline on: {', '.join(behind)}."
        if behind
        else "By F1 it is ahead on every one of them."
    )


def _false_alarms(found: dict[str, Any]) -> str:
    """One sentence naming the benchmarks with a higher false-positive rate than the baseline's."""
    rates = {
        name: (one["starter"]["false_positive_rate"], one["tfidf"]["false_positive_rate"])
        for name, one in found.get("benchmarks", {}).items()
    }
    more = [name for name, (ours, bar) in rates.items() if ours is not None and ours > bar]
    return (
        f"Its false-positive rate is above the baseline's on: {', '.join(more)}."
        if more
        else "Nowhere does it raise more false alarms."
    )


def _long_inputs(found: dict[str, Any]) -> str:
    long = [one for name, one in found["held_out"].items() if name.endswith("-long")]
    rows, failures = sum(one["rows"] for one in long), sum(one["parse_failures"] for one in long)
    return f"Of {rows} held-out texts of up to that length {failures} did not parse."


def _bold(value: float, other: float) -> str:
    return f"**{value}**" if value > other else str(value)


def _or_dash(counts: dict[str, Any]) -> str:
    return "–" if counts["false_positive_rate"] is None else str(counts["false_positive_rate"])
