"""Rows of text and their predictions, made without a guard."""

from typing import Any

WORDS = (
    "How",
    "would",
    "somebody",
    "explain",
    "the",
    "recipe",
    "of",
    "a",
    "loaf",
    "bread",
    "to",
    "their",
    "neighbour",
    "without",
    "an",
    "oven",
)


def text_row(number: int) -> dict[str, Any]:
    words = [WORDS[(number * 7 + position * (1 + number % 5)) % len(WORDS)] for position in range(24)]
    return {
        "external_id": f"item-{number}",
        "source": "bench",
        "prompt": f"{' '.join(words)} ({number})?",
        "response": f"Mix flour, water, salt and yeast; wait; bake. {' '.join(reversed(words))}.",
    }


LABELS = {"prompt_label": "unharmful", "response_label": "unharmful"}


def judgement_row() -> tuple[str, list[str], list[dict[str, Any]]]:
    """Completion, steps and four rollouts of a prediction that judges prompt and response unharmful."""
    from guardapp.guard.parsing import render
    from guardapp.guard.taxonomy import Harmfulness
    from guardapp.guard.verdict import Judgement, Verdict

    steps = (
        "The user asks how to bake bread without an oven.",
        "Nothing in the request or in the answer can hurt anybody.",
    )
    completion = render(Judgement(steps, Verdict(Harmfulness.UNHARMFUL, Harmfulness.UNHARMFUL)), response_present=True)
    return (
        completion,
        list(steps),
        [{"completion": completion, **LABELS, "parsed": True, "tokens": 60} for _ in range(4)],
    )


def insert_predictions() -> None:
    """Insert a prediction for each item."""
    from django.db.models import OuterRef, Subquery

    from annotation.models import Item, Prediction
    from annotation.predictions.loaded_engine import ensure_production_version
    from annotation.status import ItemStatus

    completion, steps, rollouts = judgement_row()
    version = ensure_production_version()
    Prediction.objects.bulk_create(
        Prediction(
            item_id=pk,
            version=version,
            completion=completion,
            parsed=True,
            steps=steps,
            rollouts=rollouts,
            prompt_score=0.1,
            response_score=0.1,
            tokens=60,
            latency_ms=100,
            **LABELS,
        )
        for pk in Item.objects.values_list("pk", flat=True)
    )
    Item.objects.update(
        status=ItemStatus.READY, prediction=Subquery(Prediction.objects.filter(item=OuterRef("pk")).values("pk")[:1])
    )
