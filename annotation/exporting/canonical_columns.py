"""The columns of the canonical record in Parquet. JSON of any shape, such as metadata, is text there."""

from typing import Any


class _Types:
    """The types that the columns have. `pa` is pyarrow, which only exports import."""

    def __init__(self, pa: Any) -> None:
        self.pa = pa
        self.text, self.words, self.flag = pa.string(), pa.list_(pa.string()), pa.bool_()
        self.whole, self.number, self.moment = pa.int64(), pa.float64(), pa.timestamp("us", "UTC")
        self.verdict = pa.struct({"prompt": self.text, "response": self.text, "categories": self.words})
        self.labels = pa.struct({"prompt": self.text, "response": self.text})

    def rows(self, fields: dict[str, Any]) -> Any:
        return self.pa.list_(self.pa.struct(fields))


def columns(pa: Any, with_media: bool) -> Any:
    """Return the schema, which is the same with and without media."""
    t = _Types(pa)
    review = _review(t)
    history = dict.fromkeys(("gold", "predictions", "appeals", "hidden_gold"), t.text)
    return pa.schema(
        {
            "format": t.text,
            "version": t.whole,
            "definitions": t.text,
            "item": pa.struct(_item(t)),
            "model_input": pa.struct(_model_input(t)),
            "model": pa.struct(_model(t)),
            "review": t.rows(review),
            "final": pa.struct(_final(t)),
            "target": pa.struct({"steps": t.words, "source": t.text, "completion": t.text}),
            "hard": pa.struct({"errors": t.words, "n": t.whole, "wrong_rollouts": t.whole}),
            "events": t.text,
            "history": pa.struct({"review": t.rows(review | {"taken_back_at": t.moment}), **history}),
            "split": t.text,
            "dataset_version": t.text,
        }
    )


def _review(t: _Types) -> dict[str, Any]:
    links = t.rows(
        {
            "step": t.whole,
            "kind": t.text,
            "medium": t.whole,
            "index": t.whole,
            "x": t.number,
            "y": t.number,
            "w": t.number,
            "h": t.number,
            "field": t.text,
            "start": t.whole,
            "end": t.whole,
        }
    )
    return {
        "id": t.whole,
        "reviewer_pseudonym": t.text,
        "kind": t.text,
        "verdict": t.verdict,
        "step_labels": t.pa.list_(t.whole),
        "edits": t.rows({"step": t.whole, "from": t.text, "to": t.text}),
        "links": links,
        "severity": t.whole,
        "confidence": t.whole,
        "note": t.text,
        "reason": t.text,
        "error_kinds": t.words,
        "lead_time_ms": t.whole,
        "mode": t.text,
        "lane": t.text,
        "at": t.moment,
        "steps": t.text,
        "seconds": t.number,
        "round": t.whole,
        "version": t.text,
        "policy_id": t.text,
        "policy_version": t.whole,
        "first": t.labels,
        "upholds": t.whole,
        "bulk": t.whole,
        "hidden_gold": t.flag,
    }


def _item(t: _Types) -> dict[str, Any]:
    return {
        "id": t.whole,
        "source": t.text,
        "external_id": t.text,
        "modality": t.text,
        "text": t.text,
        "request": t.text,
        "response": t.text,
        "messages": t.rows({"role": t.text, "text": t.text, "name": t.text, "media": t.pa.list_(t.whole)}),
        "media": t.rows({"uri": t.text, "sha256": t.text, "mime": t.text, "kind": t.text}),
        "metadata": t.text,
        "reason": t.text,
        "reported_at": t.moment,
        "language": t.text,
        "url": t.text,
        "author": t.text,
        "thread": t.text,
        "reports": t.text,
        "created_at": t.moment,
        "withdrawn_at": t.moment,
        "status": t.text,
        "queue": t.text,
        "lane": t.text,
        "round": t.whole,
        "severity": t.whole,
        "priority": t.number,
        "version": t.text,
    }


def _model_input(t: _Types) -> dict[str, Any]:
    seen = t.rows(
        {
            "asset": t.text,
            "folder": t.text,
            "reader": t.text,
            "kind": t.text,
            "codec": t.text,
            "source_frames": t.whole,
            "whole": t.flag,
            "timestamps": t.pa.list_(t.number),
            "width": t.whole,
            "height": t.whole,
        }
    )
    return {"prompt_sha256": t.text, "policy_id": t.text, "policy_version": t.whole, "media_seen": seen}


def _model(t: _Types) -> dict[str, Any]:
    return {
        "version": t.text,
        "output_raw": t.text,
        "steps": t.words,
        "verdict": t.verdict,
        "rollouts": t.rows(
            {
                "text": t.text,
                "verdict": t.labels,
                "parsed": t.flag,
                "tokens": t.whole,
                "prompt_score": t.number,
                "response_score": t.number,
            }
        ),
        "disagreement": t.number,
        "prompt_score": t.number,
        "response_score": t.number,
        "prompt_marginal": t.number,
        "response_marginal": t.number,
        "prompt_harm": t.number,
        "response_harm": t.number,
        "calibration": t.text,
        "windows": t.text,
        "tokens": t.whole,
        "latency_ms": t.whole,
        "policy": t.pa.struct({"id": t.text, "version": t.whole}),
        "at": t.moment,
    }


def _final(t: _Types) -> dict[str, Any]:
    return {
        "id": t.whole,
        "review": t.whole,
        "verdict": t.verdict,
        "source": t.text,
        "policy_id": t.text,
        "policy_version": t.whole,
        "at": t.moment,
        "settled_at": t.moment,
        "stale_at": t.moment,
    }
