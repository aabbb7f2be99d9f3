"""training's rows: snapshots, runs, evaluations, promotions."""

from training.models.runs import Evaluation, EvaluationRow, Promotion, TrainingRun
from training.models.snapshots import DatasetSnapshot, SnapshotRow

__all__ = ["DatasetSnapshot", "Evaluation", "EvaluationRow", "Promotion", "SnapshotRow", "TrainingRun"]
