"""Find rows that a guard sometimes gets wrong: `python -m training.jobs.mine RUN_DIR`.

Reads RUN_DIR/config.json (MineConfig), samples rollouts of each labelled row of the split, appends them to
RUN_DIR/mined.jsonl, and writes the kept rows to RUN_DIR/rows.jsonl and the figures to RUN_DIR/result.json. Rollouts
that the same version produced before are reused. Rows beyond the guard's context are left out, counted and named. If
killed, the same command continues with the rows that are not mined yet.
"""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardapp.guard.engines.hf.checkpoint import load_processor
from guardapp.guard.engines.hf.encoding import completion_ids, estimated_tokens
from guardapp.guard.rl.mining import KeepRule, keep_rule
from guardapp.guard.verdict import Decoding
from training.contract import METRICS, MINED, ROWS, MineConfig
from training.learning.engines import guard_engine, readable
from training.learning.heartbeat import JobCancelled
from training.learning.json_lines import append_line, read_lines
from training.learning.lifecycle import Job, run_job, start_as_program
from training.learning.mined import kept_line, known_completions, mined_line, rollout_line, running_figures, summary
from training.learning.rows import Row, by_id, read_rows

# The engine may split a batch, and increments the seed for each part.
SEEDS_A_BATCH = 1000

log = logging.getLogger("training.jobs.mine")


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of similar length that lack the same number of rollouts."""

    number: int
    missing: int
    rows: Sequence[Row]


def main(run_dir: Path) -> int:
    return run_job(run_dir, MineConfig, mine)


def mine(job: Job[MineConfig]) -> dict[str, Any]:
    run_dir, config, heartbeat = job.run_dir, job.config, job.heartbeat
    rule = keep_rule(config.keep)
    rows = rows_by_id(config)
    known = {
        key: texts[: config.rollouts]
        for key, texts in known_completions(config.known, config.version).items()
        if key in rows
    }
    mined = {line["id"]: line for line in read_lines(run_dir / MINED) if line["id"] in rows}
    log.info("%d rows, %d of them mined before, %d with known rollouts", len(rows), len(mined), len(known))
    miner = Miner(config, rule, known)
    # a row judged in windows has no completion of its own that could be learnt from
    judged, too_long = readable(miner.engine, rows.values(), config.max_new_tokens, heartbeat)
    rows = {row.sample.id: row for row in judged}

    for batch in batches(list(rows.values()), known, config):
        if all(row.sample.id in mined for row in batch.rows):
            continue
        heartbeat.beat("mining", len(mined), len(rows))
        if heartbeat.cancelled:
            raise JobCancelled(f"at row {len(mined)} of {len(rows)}")
        began = time.perf_counter()
        lines = miner.mine(batch)
        seconds = time.perf_counter() - began
        for line in lines:
            if line["id"] not in mined:
                mined[line["id"]] = line
                append_line(run_dir / MINED, line)
        drawn = batch.missing * len(batch.rows)
        heartbeat.metric(
            {
                "step": batch.number + 1,
                **running_figures(mined.values()),
                "rollouts_per_s": round(drawn / seconds, 3),
                "seconds": seconds if drawn else 0.0,
            }
        )

    heartbeat.beat("saving", len(rows), len(rows))
    write_kept(run_dir / ROWS, rows, mined, Path(config.media_root))
    spent = sum(line["seconds"] for line in read_lines(run_dir / METRICS))
    return summary(rows, mined, seconds=spent) | {
        "model": config.model,
        "version": config.version,
        "keep": rule.value,
        **too_long.as_json(),
        "rollouts": config.rollouts,
    }


def rows_by_id(config: MineConfig) -> dict[str, Row]:
    """Return the rows of the split that have a gold label, in dataset order.

    Raises RowNotReadable or RowsShareAnId.
    """
    rows = read_rows(Path(config.dataset), Path(config.media_root), split=config.split)
    return by_id((row for row in rows if row.is_graded), config.dataset)


def batches(rows: Sequence[Row], known: Mapping[str, Sequence[str]], config: MineConfig) -> list[Batch]:
    """Divide all rows into batches, the same at every start, so that a resumed run samples the same rollouts.

    The longest rows come first: a batch that does not fit into memory fails early.
    """
    missing = {row.sample.id: config.rollouts - len(known.get(row.sample.id, ())) for row in rows}
    found: list[Batch] = []
    for count in sorted(set(missing.values())):
        alike = sorted(
            (row for row in rows if missing[row.sample.id] == count),
            key=lambda row: estimated_tokens(row.sample),
            reverse=True,
        )
        for start in range(0, len(alike), config.batch_size):
            found.append(Batch(len(found), count, alike[start : start + config.batch_size]))
    return found


class Miner:
    """A loaded guard that samples the rollouts missing from a batch."""

    def __init__(self, config: MineConfig, rule: KeepRule, known: Mapping[str, Sequence[str]]) -> None:
        self.config = config
        self.rule = rule
        self.known = known
        # `batch_size` counts rows here and completions in the engine
        self.engine = guard_engine(config, batch_size=config.batch_size * config.rollouts)
        self.processor = load_processor(config.model)

    def mine(self, batch: Batch) -> list[dict[str, Any]]:
        """Return lines of mined.jsonl in row order, each with reused rollouts before new ones."""
        drawn = self._draw(batch)
        return [
            mined_line(row, [*self._known(row), *rollouts], version=self.config.version, rule=self.rule)
            for row, rollouts in zip(batch.rows, drawn, strict=True)
        ]

    def _draw(self, batch: Batch) -> list[list[dict[str, Any]]]:
        if not batch.missing:
            return [[] for _ in batch.rows]
        config = self.config
        decoding = Decoding(
            config.temperature,
            config.top_p,
            batch.missing,
            config.max_new_tokens,
            config.seed + batch.number * SEEDS_A_BATCH,
        )
        groups = self.engine.generate([row.sample for row in batch.rows], decoding)
        return [
            [
                rollout_line(
                    row, rollout.completion, tokens=rollout.tokens, max_tokens=config.max_new_tokens, reused=False
                )
                for rollout in group
            ]
            for row, group in zip(batch.rows, groups, strict=True)
        ]

    def _known(self, row: Row) -> list[dict[str, Any]]:
        return [
            rollout_line(
                row,
                text,
                tokens=len(completion_ids(self.processor, text)),
                max_tokens=self.config.max_new_tokens,
                reused=True,
            )
            for text in self.known.get(row.sample.id, ())
        ]


def write_kept(path: Path, rows: Mapping[str, Row], mined: Mapping[str, Mapping[str, Any]], media_root: Path) -> None:
    """Atomically write the kept rows in dataset order."""
    unfinished = path.with_name(path.name + ".tmp")
    with unfinished.open("w", encoding="utf-8") as lines:
        for key, row in rows.items():
            if mined[key]["kept"]:
                lines.write(json.dumps(kept_line(row, mined[key], media_root), ensure_ascii=False) + "\n")
    unfinished.replace(path)


if __name__ == "__main__":
    start_as_program(main, __doc__)
