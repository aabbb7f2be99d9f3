"""An evaluation calibrates the probabilities of harm of the version that it measured."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from annotation.models import Calibration, ModelVersion
from annotation.predictions.calibration import adopt_shipped, calibration_of, store_calibration
from annotation.predictions.loaded_engine import ensure_production_version
from annotation.status import Role
from guardapp.guard.how_sure import SHIPPED
from guardapp.guard.verdict import Sample
from tests.annotation.scripted_engine import HARMFUL, UNHARMFUL
from tests.cases.sure_guard import Sure, calibrate, temperature
from tests.factories import default_policy, make_user, production
from tests.training.rows import make_candidate, make_snapshot
from tests.training.tiny_run import evaluate_run, run_here
from training.contract import PREDICTIONS, RESULT
from training.jobs import evaluate
from training.learning.json_lines import read_lines
from training.models import DatasetSnapshot, Evaluation, EvaluationRow
from training.status import RunStatus, SnapshotOrigin
from training.versions.evaluations import finish_evaluation, request_evaluation

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(settings: Settings) -> ModelVersion:
    settings.ROLLOUTS, settings.AUDIT_SHARE = 4, 0.0
    default_policy()
    return production()


def coin(sample: Sample, draw: int) -> str:
    """Harmful in every second row; wrong in every fifth, and in other rows where it draws."""
    number = int(sample.id.split("-")[1])
    harmful = number % 4 == 1
    wrong = number % 5 == 0 if draw == 0 else (number + draw) % 3 == 0
    words = HARMFUL if harmful != wrong else UNHARMFUL
    return words if sample.response is None else words.replace("Response: None", "Response: harmful")


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run directory of an evaluation of 160 rows, 60 of them with two rollouts."""
    monkeypatch.setattr(evaluate, "guard_engine", lambda config, batch_size: Sure(coin))
    run_dir = evaluate_run(tmp_path / "run", Path("none"), rows=160, rollouts=2, rollout_rows=60)
    assert run_here(evaluate.main, run_dir) == 0
    return run_dir


def test_an_evaluation_measures_marginals_as_serving_does_and_fits_on_them(evaluated: Path) -> None:
    lines = read_lines(evaluated / PREDICTIONS)
    assert sum(line["rollouts"] == 2 for line in lines) == 60
    for line in lines:
        assert line["marginals"]["prompt"]["greedy"] == line["scores"]["prompt"]
        assert (line["marginals"]["prompt"]["sampled"] is None) == (line["rollouts"] == 0)
    result = json.loads((evaluated / RESULT).read_text())
    greedy, sampled = (result["calibration"]["prompt"][name] for name in ("greedy", "sampled"))
    assert (greedy["rows"], sampled["rows"], result["rollouts"]) == (160, 60, 2)
    assert greedy["calibrator"]["method"] == "temperature" and greedy["calibrator"]["temperature"] > 2
    assert greedy["ece_after"] < greedy["ece_before"]
    task = result["tasks"]["prompt_harmfulness"]
    assert (task["calibration_error"], task["calibrated_rows"]) == (sampled["ece_before"], 60)
    assert sum(one["n"] for one in task["reliability_after"]) == 60


def finish(version: ModelVersion, snapshot: DatasetSnapshot, run_dir: Path, result: dict[str, Any]) -> Evaluation:
    evaluation = request_evaluation(version=version, snapshot=snapshot, requested_by=None)
    Evaluation.objects.filter(pk=evaluation.pk).update(status=RunStatus.RUNNING)
    evaluation.refresh_from_db()
    finish_evaluation(evaluation, run_dir, result)
    return evaluation


def test_the_end_of_an_evaluation_calibrates_its_version_and_keeps_each_rows_probabilities(
    version: ModelVersion, evaluated: Path, client: Client
) -> None:
    snapshot = make_snapshot(40)
    result = json.loads((evaluated / RESULT).read_text())
    evaluation = finish(version, snapshot, evaluated, result)
    calibration = calibration_of(version)
    assert calibration is not None
    assert (calibration.evaluation, calibration.rows_of, calibration.rollouts) == (evaluation.pk, snapshot.name, 2)
    row = EvaluationRow.objects.filter(evaluation=evaluation).first()
    assert row is not None and row.probabilities is not None
    assert set(row.probabilities["prompt"]) == {"conditional", "greedy", "sampled"}
    client.force_login(make_user(Role.LEAD))
    page = " ".join(client.get(reverse("training:version", args=[version.pk])).text.split())
    assert "the greedy completion and 2 rollouts" in page and "160" in page and snapshot.name in page
    assert f"temperature {result['calibration']['prompt']['greedy']['calibrator']['temperature']:.2f}" in page


def test_too_few_rows_calibrate_nothing_and_leave_the_former_fit(version: ModelVersion, client: Client) -> None:
    few = temperature(9.0, rows=12) | {"calibrator": {"method": "none", "rows": 12}, "too_few": True, "ece_after": None}
    store_calibration(version=version, evaluation=1, rows_of="a", rollouts=4, fits={"prompt": {"greedy": few}})
    client.force_login(make_user(Role.LEAD))
    page = " ".join(client.get(reverse("training:version", args=[version.pk])).text.split())
    assert "nothing yet: it takes 50 rows, and 10 of each label" in page

    calibrate(version, sampled=2.0, greedy=4.0, evaluation=2)
    store_calibration(version=version, evaluation=3, rows_of="c", rollouts=4, fits={"prompt": {"greedy": few}})
    newest = calibration_of(version)
    assert newest is not None and newest.evaluation == 3
    assert newest.calibrators["prompt"]["greedy"]["calibrator"]["temperature"] == 4.0
    assert newest.calibrators["prompt"]["greedy"]["rows_of"] == "reviews-3"


def test_a_benchmark_calibrates_nothing_and_an_evaluation_only_its_own_version(
    version: ModelVersion, evaluated: Path
) -> None:
    snapshot = make_snapshot(40)
    result = json.loads((evaluated / RESULT).read_text())
    candidate = make_candidate(version)
    finish(candidate, snapshot, evaluated, result)
    assert calibration_of(candidate) is not None and calibration_of(version) is None
    DatasetSnapshot.objects.update(origin=SnapshotOrigin.BENCHMARK)
    snapshot.refresh_from_db()
    finish(version, snapshot, evaluated, result)
    assert calibration_of(version) is None


def test_a_guard_that_ships_a_calibration_starts_with_it(version: ModelVersion, tmp_path: Path) -> None:
    shipped = {
        "rows_of": "the rows that its build held out",
        "rollouts": 4,
        "fits": {"prompt": {"greedy": temperature(3.0)}},
    }
    (tmp_path / SHIPPED).write_text(json.dumps(shipped))
    first = adopt_shipped(version, tmp_path)
    assert first is not None and first.evaluation is None
    assert adopt_shipped(version, tmp_path) is None and Calibration.objects.count() == 1


@pytest.mark.parametrize(
    "words", ["{", "[]", "{}", '{"rows_of": "x", "rollouts": 4, "fits": {"prompt": {"greedy": 1}}}', "\udcff"]
)
def test_a_shipped_calibration_that_cannot_be_used_keeps_no_guard_from_serving(
    version: ModelVersion, tmp_path: Path, words: str
) -> None:
    (tmp_path / SHIPPED).write_bytes(words.encode("utf-8", "surrogateescape"))
    assert adopt_shipped(version, tmp_path) is None and not Calibration.objects.exists()


def test_the_starter_ships_one_that_was_fitted_on_many_rows() -> None:
    version = ensure_production_version()
    calibration = calibration_of(version)
    assert calibration is not None and calibration.rollouts == 4
    for side in ("prompt", "response"):
        for sampling in ("greedy", "sampled"):
            fitted = calibration.calibrators[side][sampling]
            assert fitted["rows"] >= 400 and fitted["ece_after"] < fitted["ece_before"], (side, sampling)
