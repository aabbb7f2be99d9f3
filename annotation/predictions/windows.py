"""Predictions of content that was judged in windows: how many there are, and how they are stored."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings

from annotation.models import Item, Prediction
from guardapp.guard.taxonomy import Harmfulness
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
            left_out = row.get("left_out", 0)
            return Window(tuple(row["prompt"]), None if response is None else tuple(response), left_out).of(sample)
    return sample


@dataclass(frozen=True, slots=True)
class ShownWindow:
    """A window as pages show it. `spans` are the parts of long texts: [{"kind": "span", "field", "start", "end"}]."""

    number: int
    spans: list[dict[str, Any]]
    harmful: bool
    parsed: bool
    decisive: bool

    @property
    def place(self) -> dict[str, Any]:
        return self.spans[0] if self.spans else {}


def shown_windows(prediction: Prediction, item: Item) -> list[ShownWindow]:
    """The windows of a prediction in order, without texts that each of them had as a whole; empty if there is one.

    The guard read the whole exchange in one window if only messages before it were left out.
    """
    rows = prediction.windows or ()
    if len(rows) < 2:
        return []
    return [
        ShownWindow(
            number,
            [
                {"kind": "span", "field": field, "start": row[field][0], "end": row[field][1]}
                for field, text in (("response", item.response), ("prompt", item.prompt))
                if row[field] is not None and row[field] != [0, len(text or "")]
            ],
            Harmfulness.HARMFUL in (row["prompt_label"], row["response_label"]),
            row["parsed"],
            row["decisive"],
        )
        for number, row in enumerate(rows, start=1)
    ]


def _window_row(window: Window, rollout: Rollout, *, decisive: bool) -> dict[str, Any]:
    verdict = rollout.judgement.verdict if rollout.judgement else None
    return {
        "prompt": list(window.prompt),
        "response": None if window.response is None else list(window.response),
        **({"left_out": window.left_out} if window.left_out else {}),
        "completion": rollout.completion,
        "parsed": verdict is not None,
        "prompt_label": verdict and verdict.prompt,
        "response_label": verdict and verdict.response,
        "categories": list(verdict.categories) if verdict else [],
        "prompt_score": rollout.prompt_score,
        "response_score": rollout.response_score,
        "decisive": decisive,
    }
