"""Fit the calibration of probabilities of harm on rows with gold labels, and measure it on rows held out from the fit.

scikit-learn is imported by the functions: only jobs fit, and every other process does without it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guardapp.guard.how_sure import Calibrator, Method, logit
from guardapp.guard.measures.calibration import expected_calibration_error

# Below this many rows, or this many of the rarer label, nothing is fitted: the error of the estimate would be larger
# than the error it corrects.
FEWEST_ROWS, FEWEST_OF_A_LABEL = 50, 10
# Isotonic regression needs many rows and then fits any shape; temperature has one parameter (Niculescu-Mizil and
# Caruana 2005, figure 8, and scikit-learn's guide put the border near 1,000).
ISOTONIC_FROM = 1_000
FOLDS = 5
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 50.0
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibrator with what it was fitted on and what it does on rows that it was not fitted on.

    `ece_before` and `loss_before` are of the marginals as they are, `…_after` of calibrated ones by cross-validation in
    FOLDS folds: the expected calibration error, and the mean log loss. They are None where nothing was fitted.
    `too_few` and `no_better` say why the calibrator leaves probabilities as they are.
    """

    calibrator: Calibrator
    rows: int
    positives: int
    ece_before: float
    ece_after: float | None = None
    loss_before: float | None = None
    loss_after: float | None = None
    too_few: bool = False
    no_better: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"calibrator": self.calibrator.as_json()}


def fit(marginals: Sequence[float], positive: Sequence[bool], *, seed: int) -> tuple[Fitted, list[float]]:
    """Fit on all rows. The second value has each row's probability by the fold that it was held out of.

    Temperature for fewer than ISOTONIC_FROM rows, else isotonic regression. If calibrated probabilities have a higher
    log loss by cross-validation, they are left as they are.
    """
    p, y = np.asarray(marginals, dtype=np.float64), np.asarray(positive, dtype=bool)
    plain = Fitted(Calibrator(rows=len(p)), len(p), int(y.sum()), expected_calibration_error(marginals, positive))
    if len(p) < FEWEST_ROWS or min(plain.positives, len(p) - plain.positives) < FEWEST_OF_A_LABEL:
        return _unfitted(plain, too_few=True), list(marginals)
    method = Method.ISOTONIC if len(p) >= ISOTONIC_FROM else Method.TEMPERATURE
    apart = _held_out(p, y, method, seed)
    before, after = _log_loss(p, y), _log_loss(apart, y)
    better = after < before
    fitted = Fitted(
        _fit(p, y, method) if better else plain.calibrator,
        plain.rows,
        plain.positives,
        plain.ece_before,
        expected_calibration_error(apart.tolist(), positive),
        before,
        after,
        no_better=not better,
    )
    return fitted, apart.tolist() if better else list(marginals)


def _unfitted(plain: Fitted, *, too_few: bool) -> Fitted:
    return Fitted(plain.calibrator, plain.rows, plain.positives, plain.ece_before, too_few=too_few)


def _held_out(p: Floats, y: npt.NDArray[np.bool_], method: Method, seed: int) -> Floats:
    """Each row's probability by a calibrator fitted on the other folds."""
    from sklearn.model_selection import StratifiedKFold

    found = np.empty_like(p)
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(p.reshape(-1, 1), y):
        calibrator = _fit(p[train], y[train], method)
        found[test] = [calibrator.of(float(one)) for one in p[test]]
    return found


def _fit(p: Floats, y: npt.NDArray[np.bool_], method: Method) -> Calibrator:
    return _isotonic(p, y) if method is Method.ISOTONIC else _temperature(p, y)


def _temperature(p: Floats, y: npt.NDArray[np.bool_]) -> Calibrator:
    """Least log loss against Platt's targets, (N₊+1)/(N₊+2) and 1/(N₋+2), which keep it finite on separable rows."""
    from sklearn.linear_model import LogisticRegression

    positives = int(y.sum())
    high, low = (positives + 1) / (positives + 2), 1 / (len(y) - positives + 2)
    targets = np.where(y, high, low)
    logits = np.array([logit(float(one)) for one in p]).reshape(-1, 1)
    # a soft target is a row of each label, weighted by it
    model = LogisticRegression(C=1e6, fit_intercept=False, max_iter=1_000).fit(
        np.vstack([logits, logits]),
        np.repeat([1, 0], len(p)),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    slope = float(model.coef_[0, 0])
    temperature = HIGHEST_TEMPERATURE if slope <= 0 else 1 / slope
    return Calibrator(
        Method.TEMPERATURE, len(p), round(min(max(temperature, LOWEST_TEMPERATURE), HIGHEST_TEMPERATURE), 6)
    )


def _isotonic(p: Floats, y: npt.NDArray[np.bool_]) -> Calibrator:
    """The frequencies stay 1/(n+2) away from 0 and 1: n rows cannot show that something never happens."""
    from sklearn.isotonic import IsotonicRegression

    edge = 1 / (len(p) + 2)
    model = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(p, y.astype(np.float64))
    knots = zip(model.X_thresholds_.tolist(), model.y_thresholds_.tolist(), strict=True)
    return Calibrator(Method.ISOTONIC, len(p), knots=tuple(knots))


def _log_loss(p: Floats, y: npt.NDArray[np.bool_]) -> float:
    near = np.clip(p, 1e-4, 1 - 1e-4)
    return float(-np.mean(np.where(y, np.log(near), np.log(1 - near))))
