"""What can go wrong in training's services. The docstring or the message is what a person reads."""

from annotation.services.errors import ServiceError


class TrainingError(ServiceError):
    """Training could not do this."""


class NotEnoughGold(TrainingError):
    """There is not enough settled gold to train on. Review more items, then try again."""

    def __init__(self, *, train: int, holdout: int, need_train: int, need_holdout: int, waiting: int) -> None:
        message = (f"{train} rows to train on and {holdout} to hold out; at least {need_train} and {need_holdout} are needed. "
                   "Review more items, or widen the filters.")
        if waiting:
            message += f" {waiting} corrections still wait for the guard to write their reasoning."
        super().__init__(message)
        self.train, self.holdout = train, holdout


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


class AlreadyProduction(TrainingError):
    """This version is in production already."""


class NothingToRollBackTo(TrainingError):
    """No promotion stands before the version in production."""


class ProductionChanged(TrainingError):
    """Production has changed meanwhile. Look again before you decide."""


class NoProduction(TrainingError):
    """No version is in production yet, so there is nothing to train from. Start the inference worker once."""
