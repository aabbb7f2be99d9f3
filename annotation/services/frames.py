"""Items' media as the guard sees it: frames decoded once for each file and preset, kept under the media root, shared by items."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from annotation.models import Item, ItemMedia, MediaAsset, PolicyVersion
from guardapp.guard.media import PRESETS, Decoded, Job, MediaError, decode_many
from guardapp.guard.verdict import SeenMedia


@dataclass(frozen=True, slots=True)
class Evidence:
    """An item's media in order, the rows that a prediction keeps of it (`Prediction.media_seen`), and the policy beside it."""

    media: tuple[SeenMedia, ...]
    rows: tuple[dict[str, Any], ...]
    policy: PolicyVersion | None = None


def evidence_of(items: Sequence[Item], policy: PolicyVersion | None = None) -> dict[int, Evidence | MediaError]:
    """By item id: its evidence, or the error of its first file that cannot be shown. A bad file costs only its own items."""
    assets: dict[int, list[MediaAsset]] = {item.pk: [] for item in items}
    for link in ItemMedia.objects.filter(item__in=items).select_related("asset").order_by("item_id", "position"):
        assets[link.item_id].append(link.asset)
    distinct = {asset.sha256: asset for row in assets.values() for asset in row}
    preset = PRESETS[settings.MEDIA_PRESET]
    jobs = [Job(settings.MEDIA_ROOT / asset.path, frames_folder(asset.sha256)) for asset in distinct.values()]
    decoded = dict(zip(distinct, decode_many(jobs, preset), strict=True)) if jobs else {}
    return {item_id: _evidence([(asset, decoded[asset.sha256]) for asset in row], policy) for item_id, row in assets.items()}


def frames_folder(sha256: str) -> Path:
    """Where the frames of a file are, under the preset that is served now."""
    return Path(settings.FRAMES_DIR) / sha256[:2] / sha256 / settings.MEDIA_PRESET


def _evidence(row: list[tuple[MediaAsset, Decoded | MediaError]], policy: PolicyVersion | None) -> Evidence | MediaError:
    media: list[SeenMedia] = []
    rows: list[dict[str, Any]] = []
    for asset, decoded in row:
        if isinstance(decoded, MediaError):
            return decoded
        media.append(decoded.seen)
        rows.append({
            "asset": asset.sha256, "folder": str(frames_folder(asset.sha256).relative_to(settings.MEDIA_ROOT)),
            "reader": decoded.reader, "timestamps": [frame.timestamp_s for frame in decoded.seen.frames],
            "width": decoded.width, "height": decoded.height,
        })
    return Evidence(tuple(media), tuple(rows), policy)
