"""Rows → the files of a build: snapshot JSONL for the jobs, and frames decoded by the product's media code."""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from guardapp.guard.media.decode import PRESETS, Job, MediaError, decode_many
from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Sample, SeenMedia, Verdict
from training.learning.rows import Row
from training.starter.plan import HeldOut, Stage
from training.starter.rows_long import generate_long
from training.starter.rows_media import generate_media, render_clip, render_image
from training.starter.rows_mixed import mixed_rows
from training.starter.rows_open import open_prose, open_rows
from training.starter.rows_text import generate
from training.starter.scoring import PROMPT_BENCHMARKS, RESPONSE_BENCHMARKS, cases

HELD_OUT_SEED = 1000  # offset of the build's seed for held-out rows


def train_rows(
    data: Path | None, stage: Stage, seed: int, media_root: Path, earlier: Sequence[dict[str, Any]] = ()
) -> list[Row]:
    """The rows of one stage. `data=None` omits the open sets; `earlier` are the rows of the previous stages."""
    own = seed + stage.seed_step
    keep = Random(own)
    rows = [
        _row(value, "train")
        for value in generate(own, stage.text, held_out_topics=False, quotes=stage.quotes)
        if value["prompt_label"] == Harmfulness.HARMFUL or keep.random() < stage.unharmful_kept
    ]
    if data is not None and stage.open_share:
        opened = list(open_rows(data, own, quotes=stage.quotes, thinned=stage.thinned, most_words=stage.open_words))
        rows += [_row(value, "train") for value in Random(own).sample(opened, round(len(opened) * stage.open_share))]
    prose = open_prose(data) if data is not None and stage.long else ()
    rows += [
        _row(value, "train")
        for value in generate_long(own, stage.long, held_out_topics=False, quotes=stage.quotes, prose=prose)
    ]
    if stage.mixed:
        rows += [_row(value, "train") for value in mixed_rows(earlier, stage.mixed, own, quotes=stage.quotes)]
    for kind, count in (("image", stage.image), ("video", stage.video)):
        rows += _with_media(
            generate_media(own, count, held_out_topics=False, kind=kind, scattered=stage.scattered),
            kind,
            media_root,
            "train",
        )
    return rows


def held_out_rows(sizes: HeldOut, seed: int, media_root: Path) -> list[Row]:
    """Rows for scoring, with sources like "unseen-text" and "seen-image"."""
    rows: list[Row] = []
    for unseen in (True, False):
        name = "unseen" if unseen else "seen"
        own = seed + HELD_OUT_SEED
        rows += [
            _row(value | {"source": f"{name}-text"}, "holdout")
            for value in generate(own, sizes.text, held_out_topics=unseen)
        ]
        rows += [
            _row(value | {"source": f"{name}-long"}, "holdout")
            for value in generate_long(own, sizes.long, held_out_topics=unseen)
        ]
        for kind, count in (("image", sizes.image), ("video", sizes.video)):
            values = (
                value | {"source": f"{name}-{kind}"}
                for value in generate_media(own, count, held_out_topics=unseen, kind=kind)
            )
            rows += _with_media(values, kind, media_root, "holdout")
    return rows


def benchmark_rows(data: Path) -> list[Row]:
    """The open text benchmarks as rows; the source is the benchmark, and only its own task is labelled."""
    rows = []
    for name in (*PROMPT_BENCHMARKS, *RESPONSE_BENCHMARKS):
        for case in cases(data, name):
            label = Harmfulness.HARMFUL if case.gold else Harmfulness.UNHARMFUL
            verdict = Verdict(prompt=label) if name in PROMPT_BENCHMARKS else Verdict(response=label)
            rows.append(
                Row(Sample(f"{name}/{case.id}", case.prompt, case.response), verdict, "", split="holdout", source=name)
            )
    return rows


def write_rows(rows: Iterable[Row], path: Path, media_root: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row.as_json(media_root), ensure_ascii=False) + "\n")


def _with_media(values: Iterable[dict[str, Any]], kind: str, media_root: Path, split: str) -> Iterator[Row]:
    """Render each row's file and decode it as the product would. The file itself is not kept."""
    kept = list(values)
    folder = media_root / "source"
    folder.mkdir(parents=True, exist_ok=True)
    jobs = []
    for value in kept:
        name = value["id"].replace("/", "-")
        source = folder / f"{name}.{'png' if kind == 'image' else 'mp4'}"
        (render_image if kind == "image" else render_clip)(value, source)
        jobs.append(Job(source, media_root / "frames" / name))
    for value, decoded in zip(kept, decode_many(jobs, PRESETS["starter"]), strict=True):
        if isinstance(decoded, MediaError):
            raise decoded
        yield _row(value, split, (decoded.seen,))
    shutil.rmtree(folder)


def _row(value: dict[str, Any], split: str, media: tuple[SeenMedia, ...] = ()) -> Row:
    response_label = value["response_label"]
    return Row(
        sample=Sample(value["id"], value["prompt"], value["response"], media),
        verdict=Verdict(
            Harmfulness(value["prompt_label"]),
            Harmfulness(response_label) if response_label else None,
            categories=tuple(value["categories"]),
        ),
        completion=value["completion"],
        split=split,
        group=value["topic"],
        source=value.get("source", "starter"),
        target_source="rule",
    )
