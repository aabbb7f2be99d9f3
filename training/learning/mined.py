"""Values of mining: graded rollouts, lines of mined.jsonl, and the figures of result.json."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from guardapp.guard.parsing import parse_labels
from guardapp.guard.rl.mining import KeepRule, keeps, pass_rate
from guardapp.guard.rl.rewards import grade
from training.learning.json_lines import read_lines
from training.learning.rows import Row

Line = dict[str, Any]


def rollout_line(row: Row, completion: str, *, tokens: int, max_tokens: int, reused: bool) -> Line:
    """One rollout as JSON: its labels, and whether they match every gold label of the row."""
    answered = row.sample.response is not None
    stated = parse_labels(completion, response_expected=answered)
    graded = grade(completion, row.verdict, response_present=answered, tokens=tokens, max_tokens=max_tokens)
    return {
        "completion": completion,
        "parsed": stated is not None,
        "prompt": stated.prompt if stated else None,
        "response": stated.response if stated else None,
        "right": graded.right,
        "tokens": tokens,
        "reused": reused,
    }


def mined_line(row: Row, rollouts: Sequence[Line], *, version: str, rule: KeepRule) -> Line:
    rights = [rollout["right"] for rollout in rollouts]
    return {
        "id": row.sample.id,
        "version": version,
        "rollouts": list(rollouts),
        "pass_rate": pass_rate(rights),
        "kept": keeps(rule, rights),
    }


def kept_line(row: Row, mined: Mapping[str, Any], media_root: Path) -> Line:
    """A line of rows.jsonl: the original row with the results of mining."""
    return row.as_json(media_root) | {
        "pass_rate": mined["pass_rate"],
        "rollouts": [
            {name: rollout[name] for name in ("completion", "right", "tokens")} for rollout in mined["rollouts"]
        ],
    }


def known_completions(path: str, version: str) -> dict[str, list[str]]:
    """Completions that this version produced before, by row id.

    The file has {"id", "version", "completions"} lines, or is another mined.jsonl.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for line in read_lines(Path(path)) if path and version else ():
        if line["version"] == version:
            found[line["id"]] += line.get("completions") or [
                rollout["completion"] for rollout in line.get("rollouts") or ()
            ]
    return found


def running_figures(mined: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Means over all lines so far, for metrics.jsonl."""
    lines = list(mined)
    rollouts = [rollout for line in lines for rollout in line["rollouts"]]
    return {
        "rows": len(lines),
        "pass_rate": _mean([line["pass_rate"] for line in lines]),
        "parse_failure_rate": _mean([not rollout["parsed"] for rollout in rollouts]),
        "completion_tokens": round(_mean([rollout["tokens"] for rollout in rollouts]), 2),
        "reused": sum(rollout["reused"] for rollout in rollouts),
    }


def summary(rows: Mapping[str, Row], mined: Mapping[str, Mapping[str, Any]], *, seconds: float) -> dict[str, Any]:
    """The figures of result.json. `seconds` is the sampling time over all starts of the job."""
    lines = [mined[key] for key in rows]
    rollouts = [rollout for line in lines for rollout in line["rollouts"]]
    drawn = sum(not rollout["reused"] for rollout in rollouts)
    by_modality: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for key, row in rows.items():
        by_modality[row.sample.modality.value].append(mined[key])
    return {
        **_counts(lines),
        "by_modality": {name: _counts(by_modality[name]) for name in sorted(by_modality)},
        "parse_failure_rate": _mean([not rollout["parsed"] for rollout in rollouts]),
        "reused": len(rollouts) - drawn,
        "drawn": drawn,
        "tokens": sum(rollout["tokens"] for rollout in rollouts if not rollout["reused"]),
        "seconds": round(seconds, 2),
        "rollouts_per_s": round(drawn / seconds, 3) if seconds else 0.0,
    }


def _counts(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    rights = [[rollout["right"] for rollout in line["rollouts"]] for line in lines]
    return {
        "rows": len(lines),
        "kept": sum(line["kept"] for line in lines),
        "pass_rate": _mean([line["pass_rate"] for line in lines]),
        **{rule.value: sum(keeps(rule, row) for row in rights) for rule in (KeepRule.ALL_WRONG, KeepRule.MIXED)},
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
