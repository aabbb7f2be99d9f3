"""File locations of runs, evaluations and snapshots."""

import os
from pathlib import Path

from django.conf import settings

from training.contract import LOG
from training.models import DatasetSnapshot, Evaluation, TrainingRun

LOG_TAIL = 4_000  # characters


def directory_of(row: TrainingRun | Evaluation) -> Path:
    """The run directory of a job (training.contract)."""
    kind = "run" if isinstance(row, TrainingRun) else "evaluation"
    return Path(settings.RUNS_DIR) / f"{kind}-{row.pk}"


def file_of(snapshot: DatasetSnapshot) -> Path:
    return Path(settings.SNAPSHOTS_DIR) / snapshot.path


def log_tail(run_dir: Path, characters: int = LOG_TAIL) -> str:
    """The end of the job's log, starting with a whole line."""
    try:
        with (run_dir / LOG).open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - characters))
            text = log.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return text if size <= characters else text.partition("\n")[2]
