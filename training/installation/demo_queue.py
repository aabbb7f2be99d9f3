"""The demo queue of a new installation, generated from topics that the starter guard was not trained on."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from annotation.ingest.store_items import ingest_items
from annotation.ingest.values import IncomingItem, IncomingMedia, RowStatus
from training.starter.rows_media import generate_media, render_clip, render_image
from training.starter.rows_text import generate

SOURCE = "demo"
SEED = 2026
IMAGE_SHARE, VIDEO_SHARE = 0.2, 0.134  # the rest is text
FILE_ENDINGS = {"image": ".png", "video": ".mp4"}


def load_demo(*, count: int) -> int:
    """Ingest `count` generated items of mixed modalities through the usual service. Returns the number of new ones."""
    images, videos = round(count * IMAGE_SHARE), round(count * VIDEO_SHARE)
    with tempfile.TemporaryDirectory() as folder:
        items = [
            *_text_items(count - images - videos),
            *_media_items(images, "image", Path(folder)),
            *_media_items(videos, "video", Path(folder)),
        ]
        Random(SEED).shuffle(items)
        results = ingest_items(rows=items)
    return sum(result.status is RowStatus.CREATED for result in results)


def _text_items(count: int) -> Iterator[IncomingItem]:
    for row in generate(SEED, count, held_out_topics=True):
        yield _item(row)


def _media_items(count: int, kind: str, folder: Path) -> Iterator[IncomingItem]:
    render = {"image": render_image, "video": render_clip}[kind]
    for number, row in enumerate(generate_media(SEED, count, held_out_topics=True, kind=kind)):
        path = folder / f"{kind}-{number}{FILE_ENDINGS[kind]}"
        render(row, path)
        yield _item(row, IncomingMedia(path, "/media/0"))


def _item(row: dict[str, Any], *media: IncomingMedia) -> IncomingItem:
    return IncomingItem(
        external_id=row["id"],
        source=SOURCE,
        prompt=row["prompt"],
        response=row["response"],
        media=media,
        metadata={"topic": row["topic"]},
        reason={"kind": "demo", "note": "made by the project itself"},
    )
