"""Rollouts that a version has already produced, in predictions and earlier minings, for reuse by a mining.

A mining reuses a rollout only if it could have sampled it itself: same version, row, policy, temperature, top_p and
token limit.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef

from annotation.models import Prediction
from guardapp.guard.judging import ROLLOUT_TEMPERATURE, ROLLOUT_TOP_P
from training.contract import MINED
from training.files import directory_of
from training.models import SnapshotRow, TrainingRun
from training.status import RunKind, Split

KNOWN = "known.jsonl"  # in the run directory
# settings in which two minings must agree
SAME = ("temperature", "top_p", "max_new_tokens", "split", "media_root")
Line = dict[str, Any]


def write_known(run: TrainingRun, config: Mapping[str, Any], run_dir: Path) -> str:
    """Write the known rollouts (training.contract.MineConfig.known) and return the path.

    They are written only at the first start, since a resumed mining must find the same batches.
    """
    path = run_dir / KNOWN
    if not path.exists():
        unfinished = path.with_name(KNOWN + ".tmp")
        with unfinished.open("w", encoding="utf-8") as lines:
            for line in known_lines(run, config):
                lines.write(json.dumps(line, ensure_ascii=False) + "\n")
        unfinished.replace(path)
    return str(path)


def known_lines(run: TrainingRun, config: Mapping[str, Any]) -> Iterator[Line]:
    """One line per row, from the source with more rollouts: two sources may contain the same completions."""
    found = {line["id"]: line for line in of_predictions(run, config)}
    for mining in earlier_minings(run, config):
        for line in of_mining(mining, run.base_version.name):
            if len(line["completions"]) > len(found.get(line["id"], {"completions": ()})["completions"]):
                found[line["id"]] = line
    yield from found.values()


def of_predictions(run: TrainingRun, config: Mapping[str, Any]) -> Iterator[Line]:
    """The rollouts stored with this version's predictions of the snapshot's items."""
    if (config["temperature"], config["top_p"]) != (ROLLOUT_TEMPERATURE, ROLLOUT_TOP_P):
        return
    trained = SnapshotRow.objects.filter(snapshot=run.snapshot, split=Split.TRAIN)
    predictions = Prediction.objects.filter(version=run.base_version, item__in=trained.values("gold__item")).order_by(
        "id"
    )
    # the prompt includes the policy of the gold label
    if run.base_version.takes_policy:
        judged_so = trained.filter(gold__item=OuterRef("item"), gold__policy_version=OuterRef("policy_version"))
        predictions = predictions.filter(Exists(judged_so))
    else:
        predictions = predictions.filter(policy_version__isnull=True)
    for item_id, rollouts in predictions.values_list("item_id", "rollouts").iterator(chunk_size=500):
        if rollouts and usable(rollouts, config["max_new_tokens"]):
            yield {
                "id": str(item_id),
                "version": run.base_version.name,
                "completions": [rollout["completion"] for rollout in rollouts],
            }


def usable(rollouts: Sequence[Mapping[str, Any]], limit: int) -> bool:
    """Whether all of them would also have ended within a limit of `limit` tokens.

    All or none of a row's rollouts are used: excluding only the truncated ones would raise the row's pass rate.
    """
    if limit == settings.MAX_NEW_TOKENS:
        return True
    shorter = min(limit, settings.MAX_NEW_TOKENS)
    return all(rollout["tokens"] < shorter for rollout in rollouts)


def earlier_minings(run: TrainingRun, config: Mapping[str, Any]) -> Iterator[TrainingRun]:
    """Other minings of the version with the same decoding, oldest first; a cancelled one has lines too.

    Rows of one snapshot match. So do items across snapshots of gold, unless the guard is given the policy of the time.
    An imported snapshot has ids of its own.
    """
    others = TrainingRun.objects.filter(
        kind=RunKind.MINE, base_version=run.base_version, started_at__isnull=False
    ).exclude(pk=run.pk)
    of_gold = SnapshotRow.objects.filter(snapshot=run.snapshot).exists()
    if of_gold and not run.base_version.takes_policy:
        same = others.filter(Exists(SnapshotRow.objects.filter(snapshot=OuterRef("snapshot"))))
    else:
        same = others.filter(snapshot=run.snapshot)
    for other in same.order_by("id"):
        if all(other.config.get(name) == config.get(name) for name in SAME):
            yield other


def of_mining(mining: TrainingRun, version: str) -> Iterator[Line]:
    try:
        with (directory_of(mining) / MINED).open(encoding="utf-8") as lines:
            for text in lines:
                line = _read(text)
                if line and line["version"] == version:
                    yield {
                        "id": line["id"],
                        "version": version,
                        "completions": [rollout["completion"] for rollout in line["rollouts"]],
                    }
    except FileNotFoundError:
        return


def _read(text: str) -> Line | None:
    """Parse a line; None for the partial line of a killed job."""
    try:
        line: Line = json.loads(text)
    except ValueError:
        return None
    return line
