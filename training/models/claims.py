"""The rows of training that workers claim: one row a model. How a claim is taken: annotation.database.claims."""

from annotation.database.claims import Claims
from training.models.runs import Evaluation, TrainingRun
from training.status import OPEN, RunStatus

# a job that takes its worker down with it, or hangs, is not tried for ever
RUN_CLAIMS = Claims(TrainingRun, state="status", open=OPEN, held=RunStatus.RUNNING, most_attempts=5)
EVALUATION_CLAIMS = Claims(Evaluation, state="status", open=OPEN, held=RunStatus.RUNNING, most_attempts=5)
