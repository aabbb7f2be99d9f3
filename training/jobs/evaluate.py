"""Score a guard on a snapshot: `python -m training.jobs.evaluate RUN_DIR`.

Reads RUN_DIR/config.json (EvaluateConfig), predicts each row greedily with the prompt and parser of serving, appends to
RUN_DIR/predictions.jsonl and writes RUN_DIR/result.json. For some rows it samples as many completions as serving does,
for the calibration of probabilities of harm. If killed, the same command continues with the rows that have no
prediction yet. Rows listed as `watched` are predicted too but not scored. Rows beyond the guard's context are judged in
windows, as in serving; those beyond the windows are left out, counted and named.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from guardapp.guard.draws import sticky_draw
from guardapp.guard.engines.hf.encoding import estimated_tokens
from guardapp.guard.how_sure import SIDES, marginal_of
from guardapp.guard.judging import ROLLOUT_TEMPERATURE, ROLLOUT_TOP_P
from guardapp.guard.protocol import Engine
from guardapp.guard.verdict import Decoding, Rollout
from guardapp.guard.windows import Windowing, reading_windows
from training.contract import PREDICTIONS, EvaluateConfig
from training.learning.engines import guard_engine, readable
from training.learning.heartbeat import JobCancelled
from training.learning.json_lines import append_line, read_lines
from training.learning.lifecycle import Job, run_job, start_as_program
from training.learning.rows import Row, by_id, read_rows
from training.learning.scoring import scored

# The engine may split a batch, and increments the seed for each part.
SEEDS_A_BATCH = 1000

log = logging.getLogger("training.jobs.evaluate")


def main(run_dir: Path) -> int:
    return run_job(run_dir, EvaluateConfig, evaluate)


def evaluate(job: Job[EvaluateConfig]) -> dict[str, Any]:
    run_dir, config, heartbeat = job.run_dir, job.config, job.heartbeat
    rows = rows_by_id(config)
    predictions = {line["id"]: line for line in read_lines(run_dir / PREDICTIONS) if line["id"] in rows}
    log.info("%d rows, %d of them predicted before", len(rows), len(predictions))
    engine = reading_windows(
        guard_engine(config, batch_size=config.batch_size), Windowing(config.windows, config.window_overlap)
    )
    judged, too_long = readable(engine, rows.values(), config.max_new_tokens, heartbeat)
    rows = {row.sample.id: row for row in judged}
    ordered = sorted(rows.values(), key=lambda row: estimated_tokens(row.sample))
    # Use the same batches at every start: padding changes scores by rounding errors, and a resumed run must give the
    # same result.
    batches = [ordered[start : start + config.batch_size] for start in range(0, len(ordered), config.batch_size)]
    decoding = Decoding(max_new_tokens=config.max_new_tokens, seed=config.seed)
    drawn = rows_with_rollouts(rows.values(), config)

    for number, batch in enumerate(batches):
        missing = [row for row in batch if row.sample.id not in predictions]
        if not missing:
            continue
        heartbeat.beat("predicting", len(predictions), len(rows))
        if heartbeat.cancelled:
            raise JobCancelled(f"at row {len(predictions)} of {len(rows)}")
        began = time.perf_counter()
        groups = engine.generate([row.sample for row in batch], decoding)
        ms = 1000 * (time.perf_counter() - began) / len(batch)
        # serving samples nothing for content in windows either
        whole = [row for row, (rollout,) in zip(batch, groups, strict=True) if not rollout.parts]
        sampled = sample(engine, [row for row in whole if row.sample.id in drawn], number, config)
        for row, (rollout,) in zip(batch, groups, strict=True):
            if row in missing:
                predictions[row.sample.id] = prediction(
                    row, rollout, ms, sampled.get(row.sample.id, []), watched=not _of_split(row, config.split)
                )
                append_line(run_dir / PREDICTIONS, predictions[row.sample.id])
        heartbeat.metric(
            {"step": len(predictions), "tokens": sum(group[0].tokens for group in groups), "ms_per_row": round(ms, 1)}
        )

    heartbeat.beat("scoring", len(rows), len(rows))
    answers = [predictions[key] for key in rows]
    result = scored(
        [line for line in answers if not line.get("watched")], resamples=config.bootstrap_samples, seed=config.seed
    )
    return result | {
        "model": config.model,
        "split": config.split,
        **too_long.as_json(),
        "watched": sum(bool(line.get("watched")) for line in answers),
        "rollouts": config.rollouts,
    }


def rows_with_rollouts(rows: Iterable[Row], config: EvaluateConfig) -> frozenset[str]:
    """Return the ids of the scored rows that get rollouts: the same ones at every start."""
    if not config.rollouts:
        return frozenset()
    scored_ids = [row.sample.id for row in rows if _of_split(row, config.split)]
    return frozenset(sorted(scored_ids, key=lambda row_id: sticky_draw("rollouts", row_id))[: config.rollout_rows])


def sample(engine: Engine, rows: Sequence[Row], batch: int, config: EvaluateConfig) -> dict[str, list[Rollout]]:
    """Sample the rows' rollouts as serving does, by id. `batch` is the batch's number, for a seed of its own."""
    if not rows:
        return {}
    decoding = Decoding(
        temperature=ROLLOUT_TEMPERATURE,
        top_p=ROLLOUT_TOP_P,
        n=config.rollouts,
        max_new_tokens=config.max_new_tokens,
        seed=config.seed + SEEDS_A_BATCH * (batch + 1),
    )
    groups = engine.generate([row.sample for row in rows], decoding)
    return {row.sample.id: group for row, group in zip(rows, groups, strict=True)}


def rows_by_id(config: EvaluateConfig) -> dict[str, Row]:
    """Return the rows to predict by id, in dataset order. Raises RowNotReadable or RowsShareAnId."""
    watched = set(config.watched)
    wanted = (
        row if config.policies else replace(row, sample=replace(row.sample, policy_text=None))
        for row in read_rows(Path(config.dataset), Path(config.media_root))
        if _of_split(row, config.split) or row.sample.id in watched
    )
    return by_id(wanted, config.dataset)


def _of_split(row: Row, split: str) -> bool:
    return not split or row.split == split


def prediction(
    row: Row, rollout: Rollout, ms: float, sampled: Sequence[Rollout] = (), *, watched: bool
) -> dict[str, Any]:
    """A line of predictions.jsonl. `ms` is the row's share of its batch's time without rollouts; a watched row is not
    scored. "marginals" are of the greedy completion alone, and over the sampled ones too, if there are any.
    """
    verdict = rollout.judgement.verdict if rollout.judgement else None
    return {
        "id": row.sample.id,
        "completion": rollout.completion,
        "parsed": verdict is not None,
        "predicted": {"prompt": verdict.prompt, "response": verdict.response}
        if verdict
        else {"prompt": None, "response": None},
        "gold": {"prompt": row.verdict.prompt, "response": row.verdict.response},
        "scores": {"prompt": rollout.prompt_score, "response": rollout.response_score},
        "marginals": {
            side: {
                "greedy": marginal_of([rollout], side),
                "sampled": marginal_of([rollout, *sampled], side) if sampled else None,
            }
            for side in SIDES
        },
        "rollouts": len(sampled),
        "tokens": rollout.tokens,
        "finished": rollout.finished,
        "ms": round(ms, 2),
        "modality": row.sample.modality.value,
        "source": row.source,
        "categories": list(row.verdict.categories),
        "predicted_categories": list(verdict.categories) if verdict else [],
        "windows": len(rollout.parts),
        "watched": watched,
    }


if __name__ == "__main__":
    start_as_program(main, __doc__)
