"""The training rows that workers claim, with one entry per model; see annotation.database.claims."""

from annotation.database.claims import Claims
from training.models.runs import Evaluation, TrainingRun
from training.status import OPEN, RunStatus

# A job that crashes its worker, or hangs, is not retried for ever.
RUN_CLAIMS = Claims(TrainingRun, state="status", open=OPEN, held=RunStatus.RUNNING, most_attempts=5)
EVALUATION_CLAIMS = Claims(Evaluation, state="status", open=OPEN, held=RunStatus.RUNNING, most_attempts=5)
