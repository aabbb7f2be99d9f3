"""Fitting the calibration: by temperature or isotonic regression, measured on rows that it was not fitted on."""

from random import Random

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss

from guardapp.guard.how_sure import Method
from guardapp.guard.measures.calibration import expected_calibration_error
from guardapp.guard.measures.fit_calibrator import FEWEST_OF_A_LABEL, FEWEST_ROWS, ISOTONIC_FROM, fit


def overconfident(n: int, *, seed: int = 1, temperature: float = 4.0) -> tuple[list[float], list[bool]]:
    """Marginals whose logits are `temperature` times those of the true frequencies."""
    random = Random(seed)
    truth = [random.uniform(-2.5, 2.5) for _ in range(n)]
    positive = [random.random() < 1 / (1 + np.exp(-one)) for one in truth]
    return [float(1 / (1 + np.exp(-temperature * one))) for one in truth], positive


def test_few_rows_get_a_temperature_that_undoes_overconfidence() -> None:
    marginals, positive = overconfident(600)
    fitted, apart = fit(marginals, positive, seed=17)
    assert fitted.calibrator.method is Method.TEMPERATURE
    assert fitted.calibrator.temperature == pytest.approx(4.0, rel=0.35)
    assert (fitted.rows, fitted.positives) == (600, sum(positive))
    assert fitted.ece_before == pytest.approx(expected_calibration_error(marginals, positive))
    assert fitted.ece_after == pytest.approx(expected_calibration_error(apart, positive))
    assert fitted.ece_after is not None and fitted.ece_after < fitted.ece_before / 2
    assert fitted.loss_after is not None and fitted.loss_before is not None and fitted.loss_after < fitted.loss_before


def test_the_temperature_has_the_least_log_loss() -> None:
    marginals, positive = overconfident(500, seed=5)
    found = fit(marginals, positive, seed=17)[0].calibrator.temperature
    logits = np.log(np.clip(marginals, 1e-4, 1 - 1e-4) / (1 - np.clip(marginals, 1e-4, 1 - 1e-4)))

    def loss(temperature: float) -> float:
        return float(log_loss(positive, 1 / (1 + np.exp(-logits / temperature))))

    best = min(np.linspace(0.5, 12, 500), key=loss)
    assert found == pytest.approx(best, rel=0.05), "but for Platt's targets"


def test_many_rows_get_isotonic_regression_as_scikit_learn_fits_it() -> None:
    marginals, positive = overconfident(ISOTONIC_FROM + 500)
    fitted, _ = fit(marginals, positive, seed=17)
    assert fitted.calibrator.method is Method.ISOTONIC
    edge = 1 / (len(marginals) + 2)
    theirs = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(marginals, positive)
    asked = [0.0, 0.01, 0.2, 0.5, 0.77, 0.999, 1.0]
    assert [fitted.calibrator.of(p) for p in asked] == pytest.approx(theirs.predict(asked).tolist(), abs=1e-4)
    assert fitted.ece_after is not None and fitted.ece_after < fitted.ece_before


@pytest.mark.parametrize(
    ("rows", "positives"), [(FEWEST_ROWS - 1, 20), (200, FEWEST_OF_A_LABEL - 1), (200, 200), (1, 1), (0, 0)]
)
def test_too_few_rows_or_too_few_of_a_label_fit_nothing(rows: int, positives: int) -> None:
    marginals = [0.9] * rows
    fitted, apart = fit(marginals, [at < positives for at in range(rows)], seed=17)
    assert fitted.too_few and fitted.calibrator.method is Method.NONE and fitted.calibrator.of(0.9) == 0.9
    assert (fitted.rows, fitted.ece_after) == (rows, None) and apart == marginals


def test_a_calibration_that_helps_on_no_held_out_row_is_not_applied() -> None:
    marginals, positive = [0.5] * 100, [True, False] * 50
    fitted, apart = fit(marginals, positive, seed=17)
    assert fitted.no_better and not fitted.too_few
    assert fitted.calibrator.method is Method.NONE and apart == marginals
    assert fitted.loss_before == fitted.loss_after == pytest.approx(np.log(2))


def test_a_guard_that_is_right_on_every_row_stays_short_of_certainty() -> None:
    fitted, _ = fit([0.99, 0.01] * 60, [True, False] * 60, seed=17)
    assert 0.9 < fitted.calibrator.of(0.99) < 1.0


def test_a_guard_that_says_the_opposite_is_not_turned_round() -> None:
    marginals, positive = overconfident(300)
    fitted, _ = fit([1 - p for p in marginals], positive, seed=17)
    assert fitted.calibrator.of(0.99) >= 0.5 >= fitted.calibrator.of(0.01)


def test_the_same_rows_give_the_same_fit() -> None:
    marginals, positive = overconfident(1_200)
    assert fit(marginals, positive, seed=17) == fit(marginals, positive, seed=17)
