"""The canonical format: the complete record of each reviewed item.

It drops no rows; all other formats are projections of it.

`split` and `dataset_version` are null here, because splits belong to snapshots and are given in their files. Media uris
are file names in an archive (`archive=zip`); in the media store, the same files are identified by sha256.
"""

import hashlib
from functools import lru_cache
from typing import Any

import orjson
from orjson import Fragment

from annotation.exporting.projection import Drop, completion_of, texts_of
from annotation.exporting.values import ExportedReview, Json, ReviewedRow, moment
from annotation.status import StepMark

VALUE_OF_MARK = {StepMark.RIGHT.value: 1, StepMark.UNSURE.value: 0, StepMark.WRONG.value: -1}


def canonical(row: ReviewedRow) -> dict[str, Any]:
    media = [{"uri": one.uri, "sha256": one.sha256, "mime": one.mime, "kind": one.kind.value} for one in row.media]
    system, text = texts_of(row, image="<image>", video="<video>")
    completion = completion_of(row)
    rollouts = orjson.loads(row.rollouts) if row.rollouts else []
    return {
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
        },
        "model_input": {
            "prompt_sha256": _prompt_sha256(system, text),
            "policy_id": row.policy[0],
            "policy_version": row.policy[1],
            "media_seen": Fragment(row.media_seen or "null") if row.media else [],
        },
        "model": None
        if row.completion is None
        else {
            "version": row.version,
            "output_raw": row.completion,
            "steps": Fragment(row.guard_steps or "null"),
            "verdict": _verdict(row.guard_prompt_label, row.guard_response_label, row.guard_categories)
            if row.parsed
            else None,
            "rollouts": [
                {
                    "text": one["completion"],
                    "verdict": {"prompt": one["prompt_label"], "response": one["response_label"]}
                    if one["parsed"]
                    else None,
                    "parsed": one["parsed"],
                }
                for one in rollouts
            ],
            "disagreement": row.disagreement,
        },
        "review": [_review(review) for review in row.reviews],
        "final": {
            "verdict": _verdict(row.prompt_label, row.response_label, row.categories),
            "source": row.gold_source,
            "policy_version": row.policy[1],
            "at": moment(row.created_at),
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
        "split": None,
        "dataset_version": None,
    }


def columns(pa: Any, with_media: bool) -> Any:
    """Return the schema, which is the same with and without media."""
    text, words, whole, number, moment = (
        pa.string(),
        pa.list_(pa.string()),
        pa.int64(),
        pa.float64(),
        pa.timestamp("us", "UTC"),
    )

    def rows(**fields: Any) -> Any:
        return pa.list_(pa.struct(fields))

    verdict = pa.struct({"prompt": text, "response": text, "categories": words})
    labels = pa.struct({"prompt": text, "response": text})
    seen = rows(
        asset=text,
        folder=text,
        reader=text,
        kind=text,
        codec=text,
        source_frames=whole,
        whole=pa.bool_(),
        timestamps=pa.list_(number),
        width=whole,
        height=whole,
    )
    links = rows(
        step=whole,
        kind=text,
        medium=whole,
        index=whole,
        x=number,
        y=number,
        w=number,
        h=number,
        field=text,
        start=whole,
        end=whole,
    )
    return pa.schema(
        {
            "item": pa.struct(
                {
                    "id": whole,
                    "source": text,
                    "external_id": text,
                    "modality": text,
                    "text": text,
                    "request": text,
                    "response": text,
                    "messages": rows(role=text, text=text, name=text, media=pa.list_(whole)),
                    "media": rows(uri=text, sha256=text, mime=text, kind=text),
                }
            ),
            "model_input": pa.struct(
                {"prompt_sha256": text, "policy_id": text, "policy_version": whole, "media_seen": seen}
            ),
            "model": pa.struct(
                {
                    "version": text,
                    "output_raw": text,
                    "steps": words,
                    "verdict": verdict,
                    "rollouts": rows(text=text, verdict=labels, parsed=pa.bool_()),
                    "disagreement": number,
                }
            ),
            "review": rows(
                reviewer_pseudonym=text,
                kind=text,
                verdict=verdict,
                step_labels=pa.list_(whole),
                edits=pa.list_(pa.struct({"step": whole, "from": text, "to": text})),
                links=links,
                severity=whole,
                confidence=whole,
                note=text,
                reason=text,
                error_kinds=words,
                lead_time_ms=whole,
                mode=text,
                lane=text,
                at=moment,
            ),
            "final": pa.struct({"verdict": verdict, "source": text, "policy_version": whole, "at": moment}),
            "target": pa.struct({"steps": words, "source": text, "completion": text}),
            "hard": pa.struct({"errors": words, "n": whole, "wrong_rollouts": whole}),
            "split": text,
            "dataset_version": text,
        }
    )


def _review(review: ExportedReview) -> dict[str, Any]:
    labels, edits, links = _NO_STEPS if review.steps == "[]" else _steps(orjson.loads(review.steps))
    return {
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
    }


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
