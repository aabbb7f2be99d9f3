"""The calibration of a version: stored when an evaluation ends, applied to the predictions made from then on."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from annotation.database.kept_statements import Select
from annotation.models import Calibration, ModelVersion, Prediction
from guardapp.guard import how_sure
from guardapp.guard.how_sure import SHIPPED, SIDES, Calibrator, HowSure, Method, Sampling, sampling_of

logger = logging.getLogger(__name__)

_NEWEST = Select(lambda version: Calibration.objects.filter(version=version).order_by("-id")[:1])
_NEWEST_BY_NAME = Select(
    lambda name: Calibration.objects.filter(version__name=name).select_related("version").order_by("-id")[:1]
)


@dataclass(frozen=True, slots=True)
class Told:
    """One side of a prediction, as pages tell it.

    `completions` have a label for the side, `unread` are the others; `calibrator` is None if none was applied;
    `contradicts`: the verdict is on the other side of one half. `before`: the prediction was made before marginals were
    measured, so that `sure.harm` is conditional.
    """

    side: str
    label: str | None
    sure: HowSure
    completions: int
    unread: int
    calibrator: Calibrator | None
    contradicts: bool
    before: bool


def calibration_of(version: ModelVersion) -> Calibration | None:
    """The calibration to apply to the version's predictions now; None before the first."""
    return _NEWEST.first(version=version.pk)


def calibration_named(version: str) -> Calibration | None:
    """The same, by the version's name."""
    return _NEWEST_BY_NAME.first(name=version)


def values_of(calibration: Calibration | None) -> how_sure.Calibration | None:
    if calibration is None:
        return None
    return how_sure.Calibration(
        {
            side: {
                Sampling(sampling): Calibrator.from_json(fitted["calibrator"])
                for sampling, fitted in calibration.calibrators.get(side, {}).items()
            }
            for side in SIDES
        }
    )


def store_calibration(
    *, version: ModelVersion, evaluation: int | None, rows_of: str, rollouts: int, fits: Mapping[str, Any]
) -> Calibration:
    """Put a calibration in force for the version's next predictions. Idempotent by evaluation.

    Where the rows were too few for a fit, the version's former one stays. Runs in the transaction that ends the
    evaluation. `fits`: {side: {sampling: Fitted as JSON}}.
    """
    former = calibration_of(version)
    calibrators: dict[str, dict[str, Any]] = {
        side: dict(of) for side, of in (former.calibrators if former else {}).items()
    }
    for side, of_side in fits.items():
        for sampling, fitted in of_side.items():
            kept = calibrators.setdefault(side, {})
            if not fitted["too_few"] or sampling not in kept:
                kept[sampling] = fitted | {"rows_of": rows_of}
    made, _ = Calibration.objects.get_or_create(
        version=version,
        evaluation=evaluation,
        defaults={"rows_of": rows_of[:300], "rollouts": rollouts, "calibrators": calibrators},
    )
    return made


def adopt_shipped(version: ModelVersion, folder: Path) -> Calibration | None:
    """Put the calibration in force that a checkpoint's folder ships with, if the version has none yet.

    A file that cannot be used is logged: the guard serves without it.
    """
    shipped = folder / SHIPPED
    if not shipped.is_file() or Calibration.objects.filter(version=version).exists():
        return None
    try:
        given = json.loads(shipped.read_text(encoding="utf-8"))
        for of_side in given["fits"].values():
            for fitted in of_side.values():
                Calibrator.from_json(fitted["calibrator"]).of(0.5)
        return store_calibration(
            version=version,
            evaluation=None,
            rows_of=str(given["rows_of"]),
            rollouts=int(given["rollouts"]),
            fits=given["fits"],
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        logger.warning("%s cannot be used (%s): %s is not calibrated", shipped, error, version)
        return None


def told(prediction: Prediction, side: how_sure.Side) -> Told:
    """How sure the guard is about one side."""
    label: str | None = getattr(prediction, f"{side}_label")
    harm: float | None = getattr(prediction, f"harm_of_{side}")
    labels = [label] + [row.get(f"{side}_label") for row in prediction.rollouts]
    sure = HowSure(getattr(prediction, f"{side}_score"), getattr(prediction, f"{side}_marginal"), harm)
    calibrator = Calibrator()
    if prediction.calibration_id is not None:
        calibrator = _calibrators(prediction.calibration_id).calibrator(side, sampling_of(len(prediction.rollouts)))
    return Told(
        side=side,
        label=label,
        sure=sure,
        completions=sum(one is not None for one in labels),
        unread=sum(one is None for one in labels),
        calibrator=None if calibrator.method is Method.NONE else calibrator,
        contradicts=how_sure.contradicts(label, harm),
        before=sure.marginal is None and harm is not None,
    )


@lru_cache(maxsize=64)
def words_for(calibration_id: int) -> str:
    """What identifies a calibration to a reader: its version, and what it was fitted on."""
    return str(Calibration.objects.select_related("version").get(pk=calibration_id))


@lru_cache(maxsize=64)
def _calibrators(calibration_id: int) -> how_sure.Calibration:
    # rows never change, so a process reads each of them once
    return values_of(Calibration.objects.get(pk=calibration_id)) or how_sure.Calibration()
