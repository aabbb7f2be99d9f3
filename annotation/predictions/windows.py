"""Predictions of content that was judged in windows: how many there are, and how they are stored."""

from typing import Any

from django.conf import settings

from annotation.models import Prediction
from guardapp.guard.verdict import Rollout, Sample, Window
from guardapp.guard.windows import Windowing


def windowing() -> Windowing:
    return Windowing(most=settings.WINDOWS, overlap=settings.WINDOW_OVERLAP)


def window_rows(rollout: Rollout) -> list[dict[str, Any]] | None:
    """The value of `Prediction.windows`."""
    if not rollout.parts:
        return None
    return [
        _window_row(window, part, decisive=number == rollout.decisive)
        for number, (window, part) in enumerate(rollout.parts)
    ]


def decisive_part(prediction: Prediction, sample: Sample) -> Sample:
    """What the shown steps are about: the sample, or its decisive window."""
    for row in prediction.windows or ():
        if row["decisive"]:
            response = row["response"]
            return Window(tuple(row["prompt"]), None if response is None else tuple(response)).of(sample)
    return sample


def _window_row(window: Window, rollout: Rollout, *, decisive: bool) -> dict[str, Any]:
    verdict = rollout.judgement.verdict if rollout.judgement else None
    return {
        "prompt": list(window.prompt),
        "response": None if window.response is None else list(window.response),
        "completion": rollout.completion,
        "parsed": verdict is not None,
        "prompt_label": verdict and verdict.prompt,
        "response_label": verdict and verdict.response,
        "categories": list(verdict.categories) if verdict else [],
        "prompt_score": rollout.prompt_score,
        "response_score": rollout.response_score,
        "decisive": decisive,
    }
