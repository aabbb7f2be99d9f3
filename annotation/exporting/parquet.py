"""The columns of each format's Parquet files, with their types: those of the JSON lines, field by field."""

from typing import Any

from annotation.exporting.write_file import ParquetMissing


def columns_of(format: str, *, with_media: bool) -> Any:
    """A pyarrow schema. Raises ParquetMissing."""
    try:
        import pyarrow as pa
    except ImportError:
        raise ParquetMissing(ParquetMissing.__doc__) from None
    words = pa.list_(pa.string())
    if format == "canonical":
        return _canonical(pa)
    if format == "sharegpt":
        turns = pa.list_(pa.struct({"from": pa.string(), "value": pa.string()}))
        return pa.schema({"conversations": turns, "system": pa.string(), "images": words, "videos": words})
    content = pa.list_(pa.struct({"type": pa.string(), "text": pa.string()})) if with_media else pa.string()
    messages = pa.list_(pa.struct({"role": pa.string(), "content": content}))
    return pa.schema(
        {"prompt": messages, "completion": messages, **({"images": words, "videos": words} if with_media else {})}
    )


def _canonical(pa: Any) -> Any:
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
    seen = rows(asset=text, folder=text, reader=text, timestamps=pa.list_(number), width=whole, height=whole)
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
