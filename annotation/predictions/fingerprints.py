"""Item fingerprints, stored after the guard's prediction and used to find near-duplicates."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Q, QuerySet

from annotation.media.files import frames_at
from annotation.models import Fingerprint, Item, Prediction
from guardapp.guard.media.decode import MediaError, load_seen
from guardapp.guard.media.image_hash import difference_hash
from guardapp.guard.near_copies import (
    ALIKE_BITS,
    ALIKE_TEXT,
    bits_apart,
    likeness,
    picture_bands,
    picture_of_bands,
    text_bands,
)
from guardapp.guard.taxonomy import MediaKind

TEXT, IMAGE, FRAME = "text", "image", "frame"
FRAMES_OF_A_CLIP = 4  # evenly spaced
FULLEST_BUCKET = 200  # most items compared per shared band
PICTURE_BAND_STRIDE = 8  # band numbers of an item's n-th picture start at n times this


@dataclass(frozen=True, slots=True)
class NearItem:
    """An item similar to another one.

    `likeness`, from 0 to 1, is the similarity of the words, or the share of equal bits in the closest pictures.
    """

    item: Item
    likeness: float
    by: str  # text, image or frame


def store_fingerprints(predictions: Sequence[Prediction]) -> None:
    """Store fingerprints of the predicted items, replacing existing ones. Unreadable frames are skipped."""
    rows = [row for prediction in predictions for row in _of(prediction)]
    Fingerprint.objects.filter(item__in=[prediction.item_id for prediction in predictions]).delete()
    Fingerprint.objects.bulk_create(rows, batch_size=500)


def near_items(
    item: Item,
    *,
    limit: int = 20,
    ready_only: bool = False,
    among: Callable[[QuerySet[Item]], QuerySet[Item]] | None = None,
) -> list[NearItem]:
    """Return similar items, the most similar first.

    Candidates share a band; they are then compared by full text or by all bits of the picture hashes. `among` narrows
    them, such as to those that somebody may see.
    """
    own = list(Fingerprint.objects.filter(item=item))
    candidates: set[int] = set()
    for row in own:
        same = Fingerprint.objects.filter(_band_of(row), kind=row.kind, value=row.value).exclude(item=item)
        candidates.update(same.order_by("-item_id").values_list("item_id", flat=True)[:FULLEST_BUCKET])
    found = (
        Item.objects.filter(pk__in=candidates)
        .select_related("queue", "prediction")
        .defer("metadata", "prediction__completion", "prediction__rollouts", "prediction__steps")
    )
    if among is not None:
        found = among(found)
    if ready_only:
        found = found.filter(status="ready")
    pictures = _pictures([item.pk, *candidates])
    near = [one for one in (_compare(item, other, pictures) for other in found) if one is not None]
    return sorted(near, key=lambda one: (-one.likeness, -one.item.pk))[:limit]


def _of(prediction: Prediction) -> Iterator[Fingerprint]:
    item = prediction.item
    text = item.prompt if item.response is None else f"{item.prompt}\n{item.response}"
    # the text with media is often identical between items, so only the media is compared
    if not prediction.media_seen:
        for band, value in enumerate(text_bands(text)):
            yield Fingerprint(item=item, kind=TEXT, band=band, value=value)
    for number, (kind, path) in enumerate(_frames(prediction.media_seen)):
        try:
            bands = picture_bands(difference_hash(path))
        except OSError:
            continue
        for band, value in enumerate(bands):
            yield Fingerprint(item=item, kind=kind, band=number * PICTURE_BAND_STRIDE + band, value=value)


def _frames(media_seen: Sequence[dict[str, Any]]) -> Iterator[tuple[str, Path]]:
    """Yield the pictures of an item to hash: every image, and a few frames of each clip."""
    for medium in media_seen:
        try:
            seen = load_seen(frames_at(medium["folder"])).seen
        except MediaError:
            continue
        last, steps = len(seen.frames) - 1, range(FRAMES_OF_A_CLIP)
        for at in sorted({round(step * last / (FRAMES_OF_A_CLIP - 1)) for step in steps}):
            yield (IMAGE if seen.kind is MediaKind.IMAGE else FRAME), seen.frames[at].path


def _band_of(row: Fingerprint) -> Q:
    """Match the same text band, or the same band of any picture of the other item."""
    if row.kind == TEXT:
        return Q(band=row.band)
    return Q(band__in=[number * PICTURE_BAND_STRIDE + row.band % PICTURE_BAND_STRIDE for number in range(32)])


def _same_conversation(item: Item, other: Item) -> bool:
    """Whether the messages before both are alike, and with earlier messages also what is judged.

    The same exchange after another conversation is other content, and so is the same picture with other words.
    """
    if not item.messages and not other.messages:
        return True
    said = [[message["text"] for message in one.messages] for one in (item, other)]
    judged = [f"{one.prompt}\n{one.response or ''}" for one in (item, other)]
    return all(_alike(first, second) for first, second in (map("\n".join, said), judged))


def _alike(first: str, second: str) -> bool:
    return first.strip() == second.strip() or likeness(first, second) >= ALIKE_TEXT


def _pictures(item_ids: Sequence[int]) -> dict[int, list[tuple[str, int]]]:
    """Return the picture hashes of items, reassembled from their bands."""
    parts: dict[tuple[int, str, int], dict[int, int]] = defaultdict(dict)
    for row in Fingerprint.objects.filter(item__in=item_ids).exclude(kind=TEXT):
        parts[row.item_id, row.kind, row.band // PICTURE_BAND_STRIDE][row.band % PICTURE_BAND_STRIDE] = row.value
    hashes: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for (item_id, kind, _), bands in parts.items():
        hashes[item_id].append((kind, picture_of_bands([bands[band] for band in sorted(bands)])))
    return hashes


def _compare(item: Item, other: Item, pictures: dict[int, list[tuple[str, int]]]) -> NearItem | None:
    if not _same_conversation(item, other):
        return None
    pairs = [
        (bits_apart(one, two), kind) for kind, one in pictures.get(item.pk, []) for _, two in pictures.get(other.pk, [])
    ]
    if pairs:
        apart, kind = min(pairs)
        return NearItem(other, round(1 - apart / 64, 4), kind) if apart <= ALIKE_BITS else None
    alike = likeness(f"{item.prompt}\n{item.response or ''}", f"{other.prompt}\n{other.response or ''}")
    return NearItem(other, round(alike, 4), TEXT) if alike >= ALIKE_TEXT else None
