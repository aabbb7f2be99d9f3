"""A guard that is sure of each completion's own label, and calibrations of it."""

from typing import Any

from django.test import Client
from django.urls import reverse

from annotation.models import Calibration, ModelVersion, Prediction
from annotation.predictions.calibration import store_calibration
from annotation.predictions.predict import predict_pending
from annotation.review.assign import assign_next
from annotation.status import ItemStatus
from guardapp.guard.verdict import Rollout, Sample
from tests.annotation.scripted_engine import GIBBERISH, HARMFUL, UNHARMFUL, ScriptedEngine
from tests.factories import default_queue, make_item, make_user


class Sure(ScriptedEngine):
    """Each completion is all but certain of its own label, as a guard is after its own reasoning."""

    def _rollout(self, sample: Sample, completion: str) -> Rollout:
        self.score = 0.99 if "Request: harmful" in completion else 0.01
        return super()._rollout(sample, completion)


def alone_in_its_opinion(sample: Sample, draw: int) -> str:
    """The greedy completion says harmful, every sampled one unharmful."""
    return UNHARMFUL if draw else HARMFUL


def half_of_it_parses(sample: Sample, draw: int) -> str:
    return (HARMFUL, HARMFUL, GIBBERISH, UNHARMFUL, GIBBERISH)[draw]


def temperature(value: float, rows: int = 400) -> dict[str, Any]:
    return {
        "calibrator": {"method": "temperature", "rows": rows, "temperature": value},
        "rows": rows,
        "positives": rows // 2,
        "ece_before": 0.2,
        "ece_after": 0.05,
        "loss_before": 0.7,
        "loss_after": 0.5,
        "too_few": False,
        "no_better": False,
    }


def calibrate(version: ModelVersion, *, sampled: float, greedy: float, evaluation: int | None = 12) -> Calibration:
    return store_calibration(
        version=version,
        evaluation=evaluation,
        rows_of="reviews-3",
        rollouts=4,
        fits={"prompt": {"sampled": temperature(sampled), "greedy": temperature(greedy)}},
    )


def predicted(version: ModelVersion, engine: ScriptedEngine, **fields: Any) -> Prediction:
    item = make_item(status=ItemStatus.PENDING, predicted=False, **fields)
    predict_pending(engine=engine, version=version, limit=10)
    item.refresh_from_db()
    assert item.prediction is not None
    return item.prediction


def review_page_of(client: Client) -> str:
    reviewer = make_user()
    client.force_login(reviewer)
    assert assign_next(reviewer=reviewer, queue=default_queue()) is not None
    return " ".join(client.get(reverse("review", args=["default"])).text.split())
