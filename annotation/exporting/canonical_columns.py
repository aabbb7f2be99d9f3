"""The columns of the canonical record in Parquet. JSON of any shape, such as metadata, is text there."""

from typing import Any


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
    review = {
        "id": whole,
        "reviewer_pseudonym": text,
        "kind": text,
        "verdict": verdict,
        "step_labels": pa.list_(whole),
        "edits": pa.list_(pa.struct({"step": whole, "from": text, "to": text})),
        "links": links,
        "severity": whole,
        "confidence": whole,
        "note": text,
        "reason": text,
        "error_kinds": words,
        "lead_time_ms": whole,
        "mode": text,
        "lane": text,
        "at": moment,
        "steps": text,
        "seconds": number,
        "round": whole,
        "version": text,
        "policy_id": text,
        "policy_version": whole,
        "first": labels,
        "upholds": whole,
        "bulk": whole,
        "hidden_gold": pa.bool_(),
    }
    return pa.schema(
        {
            "format": text,
            "version": whole,
            "definitions": text,
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
                    "metadata": text,
                    "reason": text,
                    "reported_at": moment,
                    "language": text,
                    "url": text,
                    "author": text,
                    "thread": text,
                    "reports": text,
                    "created_at": moment,
                    "withdrawn_at": moment,
                    "status": text,
                    "queue": text,
                    "lane": text,
                    "round": whole,
                    "severity": whole,
                    "priority": number,
                    "version": text,
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
                    "rollouts": rows(
                        text=text,
                        verdict=labels,
                        parsed=pa.bool_(),
                        tokens=whole,
                        prompt_score=number,
                        response_score=number,
                    ),
                    "disagreement": number,
                    "prompt_score": number,
                    "response_score": number,
                    "prompt_marginal": number,
                    "response_marginal": number,
                    "prompt_harm": number,
                    "response_harm": number,
                    "calibration": text,
                    "windows": text,
                    "tokens": whole,
                    "latency_ms": whole,
                    "policy": pa.struct({"id": text, "version": whole}),
                    "at": moment,
                }
            ),
            "review": rows(**review),
            "final": pa.struct(
                {
                    "id": whole,
                    "review": whole,
                    "verdict": verdict,
                    "source": text,
                    "policy_id": text,
                    "policy_version": whole,
                    "at": moment,
                    "settled_at": moment,
                    "stale_at": moment,
                }
            ),
            "target": pa.struct({"steps": words, "source": text, "completion": text}),
            "hard": pa.struct({"errors": words, "n": whole, "wrong_rollouts": whole}),
            "events": text,
            "history": pa.struct(
                {
                    "review": rows(**review, taken_back_at=moment),
                    "gold": text,
                    "predictions": text,
                    "appeals": text,
                    "hidden_gold": text,
                }
            ),
            "split": text,
            "dataset_version": text,
        }
    )
