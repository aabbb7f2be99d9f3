"""The canonical format: the complete record of each reviewed item, which `importing` reads again.

It drops no rows; all other formats are projections of it.

`split` and `dataset_version` are null here, because splits belong to snapshots and are given in their files. Media uris
are file names in an archive (`archive=zip`); in the media store, the same files are identified by sha256.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson
from orjson import Fragment

from annotation.exporting.projection import Drop, completion_of, texts_of
from annotation.exporting.values import ExportedReview, History, Json, ReviewedRow, WholeRow, moment, moment_or_none
from annotation.exporting.whole_rows import rollout_of, version_of
from annotation.predictions.calibration import words_for
from annotation.status import StepMark

VALUE_OF_MARK = {StepMark.RIGHT.value: 1, StepMark.UNSURE.value: 0, StepMark.WRONG.value: -1}


# Version 1 was the record without "format", whose reviews, prediction and item had fewer fields.
FORMAT, VERSION = "guardapp.canonical", 2
# what JSON of any shape becomes: part of the record, or in the columns of Parquet its text
Free = Callable[[str], Any]


def canonical(row: ReviewedRow) -> dict[str, Any]:
    assert isinstance(row, WholeRow)
    return _record(row, Fragment)


def canonical_in_columns(row: ReviewedRow) -> dict[str, Any]:
    """The same for Parquet, whose columns have one type: JSON of any shape is text there."""
    assert isinstance(row, WholeRow)
    return _record(row, str)


def _record(row: WholeRow, free: Free) -> dict[str, Any]:
    media = [{"uri": one.uri, "sha256": one.sha256, "mime": one.mime, "kind": one.kind.value} for one in row.media]
    system, text = texts_of(row, image="<image>", video="<video>")
    completion = completion_of(row)
    rollouts = orjson.loads(row.rollouts) if row.rollouts else []
    history = row.history or _NO_HISTORY
    return {
        "format": FORMAT,
        "version": VERSION,
        "definitions": None if history.definitions == "null" else free(history.definitions),
        "item": {
            "id": row.item_id,
            "source": row.source,
            "external_id": row.external_id,
            "modality": row.modality,
            "text": text,
            "request": row.prompt,
            "response": row.response,
            "messages": Fragment(row.messages),
            "media": media,
            "metadata": free(row.metadata),
            "reason": free(row.item_reason),
            "reported_at": moment_or_none(row.reported_at),
            "language": row.language,
            "url": row.url,
            "author": None if row.author is None else free(row.author),
            "thread": free(row.thread),
            "reports": free(row.reports),
            "created_at": moment(row.came_in_at),
            "withdrawn_at": moment_or_none(row.withdrawn_at),
            "status": row.status,
            "queue": row.queue,
            "lane": row.lane,
            "round": row.round,
            "severity": row.severity,
            "priority": row.priority,
            "version": _version(row.shown_id, row),
        },
        "model_input": {
            "prompt_sha256": _prompt_sha256(system, text),
            "policy_id": row.policy[0],
            "policy_version": row.policy[1],
            "media_seen": Fragment(row.media_seen or "null") if row.media else [],
        },
        "model": None if row.completion is None else _model(row, rollouts, free),
        "review": [_review(review, row, free) for review in row.reviews],
        "final": {
            "id": row.gold_id,
            "review": row.review_id,
            "verdict": _verdict(row.prompt_label, row.response_label, row.categories),
            "source": row.gold_source,
            "policy_id": row.policy[0],
            "policy_version": row.policy[1],
            "at": moment(row.created_at),
            "settled_at": moment(row.settled_at),
            "stale_at": moment_or_none(row.stale_at),
        },
        "target": {
            "steps": Fragment(row.target_steps),
            "source": row.target_source,
            "completion": None if isinstance(completion, Drop) else completion,
        },
        "hard": None
        if row.hard_errors is None
        else {
            "errors": Fragment(row.hard_errors),
            "n": len(rollouts),
            "wrong_rollouts": sum(
                (one["prompt_label"], one["response_label"]) != (row.prompt_label, row.response_label)
                for one in rollouts
            ),
        },
        "events": free(f"[{row.events}]"),
        "history": {
            "review": [
                {**_review(review, row, free), "taken_back_at": moment_or_none(review.retracted_at)}
                for review in history.taken_back
            ],
            "gold": free(history.gold),
            "predictions": free(history.predictions),
            "appeals": free(history.appeals),
            "hidden_gold": None if history.hidden_gold == "null" else free(history.hidden_gold),
        },
        "split": None,
        "dataset_version": None,
    }


_NO_HISTORY = History()


def _model(row: WholeRow, rollouts: list[dict[str, Any]], free: Free) -> dict[str, Any]:
    return {
        "version": row.version,
        "output_raw": row.completion,
        "steps": Fragment(row.guard_steps or "null"),
        "verdict": _verdict(row.guard_prompt_label, row.guard_response_label, row.guard_categories)
        if row.parsed
        else None,
        "rollouts": [rollout_of(one) for one in rollouts],
        "disagreement": row.disagreement,
        "prompt_score": row.prompt_score,
        "response_score": row.response_score,
        "prompt_marginal": row.prompt_marginal,
        "response_marginal": row.response_marginal,
        "prompt_harm": row.prompt_harm,
        "response_harm": row.response_harm,
        "calibration": None if row.calibration_id is None else words_for(row.calibration_id),
        "windows": None if row.windows is None else free(row.windows),
        "tokens": row.tokens,
        "latency_ms": row.latency_ms,
        "policy": row.policy_in_prompt,
        "at": moment_or_none(row.predicted_at),
    }


def _review(review: ExportedReview, row: WholeRow, free: Free) -> dict[str, Any]:
    labels, edits, links = _NO_STEPS if review.steps == "[]" else _steps(orjson.loads(review.steps))
    return {
        "id": review.review_id,
        "reviewer_pseudonym": review.pseudonym,
        "kind": review.kind,
        "verdict": _verdict(review.prompt_label, review.response_label, review.categories),
        "step_labels": labels,
        "edits": edits,
        "links": links,
        "severity": review.severity,
        "confidence": review.confidence,
        "note": review.note,
        "reason": review.reason,
        "error_kinds": Fragment(review.error_kinds),
        "lead_time_ms": round(review.seconds * 1000),
        "mode": review.mode,
        "lane": review.lane,
        "at": moment(review.created_at),
        "steps": free(review.steps),
        "seconds": review.seconds,
        "round": review.round,
        "version": _version(review.prediction_id, row),
        "policy_id": review.policy[0],
        "policy_version": review.policy[1],
        "first": {"prompt": review.first_prompt_label, "response": review.first_response_label},
        "upholds": review.upholds_id,
        "bulk": review.bulk_id,
        "hidden_gold": review.hidden_gold_id is not None,
    }


def _version(prediction_id: int | None, row: WholeRow) -> str | None:
    if prediction_id == row.prediction_id:
        return row.version
    return None if prediction_id is None else version_of(prediction_id)


def _steps(steps: list[dict[str, Any]]) -> tuple[list[Any], list[Any], list[Any]]:
    """Return the reviewer's changes to the guard's steps: labels, edits and new steps, and links."""
    own = [step for step in steps if step.get("text") is not None]
    return (
        [VALUE_OF_MARK.get(step.get("mark", "")) for step in own],
        [
            {"step": position, "from": step["text"], "to": step["edit"]}
            for position, step in enumerate(own)
            if step.get("edit") is not None
        ]
        + [{"step": None, "from": None, "to": step.get("edit")} for step in steps if step.get("text") is None],
        [{"step": position, **link} for position, step in enumerate(own) for link in step.get("links", [])],
    )


_NO_STEPS = _steps([])


@lru_cache(maxsize=256)
def _verdict(prompt: str | None, response: str | None, categories: Json) -> Fragment:
    of_categories = None if categories is None else Fragment(categories)
    return Fragment(orjson.dumps({"prompt": prompt, "response": response, "categories": of_categories}))


def _prompt_sha256(system: str, user: str) -> str:
    """Hash both messages as text, joined by a record separator (U+001E)."""
    digest = _begun_with(system).copy()
    digest.update(user.encode())
    return digest.hexdigest()


@lru_cache(maxsize=4)
def _begun_with(system: str) -> "hashlib._Hash":
    return hashlib.sha256(f"{system}\x1e".encode())
