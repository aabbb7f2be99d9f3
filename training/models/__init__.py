"""Training's models: snapshots, runs, pipelines, schedules, benchmarks, evaluations, promotions."""

from training.models.benchmarks import Benchmark, ImportedOutputs
from training.models.gate import GateSettings
from training.models.runs import Evaluation, EvaluationRow, Promotion, TrainingRequest, TrainingRun
from training.models.schedules import Firing, Pipeline, RetrainSchedule
from training.models.snapshots import DatasetSnapshot, SnapshotRow

__all__ = [
    "Benchmark",
    "DatasetSnapshot",
    "Evaluation",
    "EvaluationRow",
    "Firing",
    "GateSettings",
    "ImportedOutputs",
    "Pipeline",
    "Promotion",
    "RetrainSchedule",
    "SnapshotRow",
    "TrainingRequest",
    "TrainingRun",
]
