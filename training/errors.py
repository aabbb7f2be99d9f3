"""Errors of training's services. The docstring or the message is shown to people."""

from django.utils.translation import gettext as _

from annotation.errors import ServiceError
from training.gate.values import GateReport


class TrainingError(ServiceError):
    """Training could not do this."""


class NotEnoughGold(TrainingError):
    """There is not enough settled gold to train on. Review more items, then try again."""

    def __init__(self, *, train: int, holdout: int, need_train: int, need_holdout: int, waiting: int) -> None:
        message = _(
            "%(train)s rows to train on and %(holdout)s to hold out; at least %(need_train)s and "
            "%(need_holdout)s are needed. "
            "Review more items, or widen the filters."
        ) % {"train": train, "holdout": holdout, "need_train": need_train, "need_holdout": need_holdout}
        if waiting:
            message += " " + _("%(n)s corrections still wait for the guard to write their reasoning.") % {"n": waiting}
        super().__init__(message)
        self.train, self.holdout = train, holdout


class MediaNotReached(TrainingError):
    """The media store does not answer, so the frames cannot be read. Nothing was kept: try again when it is back."""


class CheckpointChanged(TrainingError):
    """A file of the checkpoint is not the one that the version was registered with. It is not used."""


class GoldChanged(TrainingError):
    """Reviews were undone while the snapshot was being written. Nothing was kept: try again."""


class SnapshotNameTaken(TrainingError):
    """A snapshot of this name exists. Snapshots never change: choose another name."""


class SnapshotDamaged(TrainingError):
    """The snapshot's file is missing or no longer has the sha256 it was made with. It is not used."""


class RunNotCancellable(TrainingError):
    """The run has ended already."""


class RunNotResumable(TrainingError):
    """Only a failed or cancelled run can be resumed."""


class NotALead(TrainingError):
    """Only leads and admins decide which version serves."""


class ReasonMissing(TrainingError):
    """Say in a few words why: the reason stays in the history."""


class NotEvaluated(TrainingError):
    """This version has no finished evaluation on a holdout, so nothing is known about it. Evaluate it first."""


class GateNotPassed(TrainingError):
    """The gate did not pass. Read its checks; an admin may promote the version all the same, with a written reason."""

    def __init__(self, report: GateReport) -> None:
        named = " ".join(f"{check.title}: {check.detail}" for check in report.blocking)
        super().__init__(
            _("The gate did not pass. %(checks)s An admin may promote it all the same, with a written reason.")
            % {"checks": named}
        )
        self.report = report


class NotAnAdmin(TrainingError):
    """Only admins change the gate or promote a version that did not pass it."""


class ThresholdNotUsable(TrainingError):
    """A threshold of the gate is out of its range; the message names it."""


class ShareNotUsable(TrainingError):
    """The share of live items must be above 0 and at most 1."""


class ShadowChanged(TrainingError):
    """Another version was set to shadow in the meantime. Look again before you decide."""


class AlreadyProduction(TrainingError):
    """This version is in production already."""


class NothingToRollBackTo(TrainingError):
    """There is no earlier version to roll back to."""


class ProductionChanged(TrainingError):
    """Production has changed in the meantime. Look again before you decide."""


class NoProduction(TrainingError):
    """No version is in production yet, so there is nothing to train from. Start the inference worker once."""


class NothingToTrainOn(TrainingError):
    """No row of the file can be trained on, so nothing was kept. The bad rows say why."""


class BenchmarkNameTaken(TrainingError):
    """Another benchmark has this name. A benchmark never changes: register the file under another name."""


class BenchmarkHasNoRows(TrainingError):
    """No row of the file can be scored, so nothing was kept. The bad rows say why."""


class BenchmarkNotTrainedOn(TrainingError):
    """Benchmarks are for evaluation only and are never trained on."""


class NoOutputs(TrainingError):
    """No line of the file is a completion of one of the benchmark's rows, so nothing was kept. The bad rows say why."""


class AskedAlready(TrainingError):
    """This was requested a moment ago and is being prepared. It will appear among the runs."""


class NotATraining(TrainingError):
    """A mining was asked to train, or a training to wait for a run that cannot help it; the message says which."""


class PredecessorEnded(TrainingError):
    """The run that this one would wait for has failed or was cancelled. Resume that one first."""


class MiningNotFinished(TrainingError):
    """The mining whose rows this run trains on has not succeeded."""


class MinedRowsDamaged(TrainingError):
    """The rows kept by the mining are missing, or their sha256 has changed. They are not used: mine again."""


class StagesNotUsable(TrainingError):
    """These stages do not make a pipeline; the message says why."""


class ScheduleBusy(TrainingError):
    """A pipeline of this run's schedule is under way. Cancel that one, or wait for its end."""


class ScheduleNotValid(TrainingError):
    """A field of the schedule has a value that it cannot have; the message names it and says what it may be."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.message = field, message


class ScheduleNameTaken(TrainingError):
    """A schedule of this name exists. Choose another name."""


class EngineNotInstalled(TrainingError):
    """The engine is not installed where the training worker runs. Install it there, or choose transformers."""

    def __init__(self, *, title: str, install: str) -> None:
        words = _(
            "%(engine)s is not installed where the training worker runs. "
            "Install %(install)s there, or choose transformers."
        )
        super().__init__(words % {"engine": title, "install": install})
