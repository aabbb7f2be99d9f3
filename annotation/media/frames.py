"""Items' media as the guard sees it: frames are decoded once per file and preset and shared between items."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from annotation.media.files import decoded, frames_folder_name
from annotation.models import Item, ItemMedia, MediaAsset, PolicyVersion
from guardapp.guard.media.decode import Decoded, MediaError
from guardapp.guard.taxonomy import DEFAULT_CODES
from guardapp.guard.verdict import SeenMedia


@dataclass(frozen=True, slots=True)
class Evidence:
    """An item's media in order, with the policy for its prompt and the category codes accepted in completions.

    `rows` is the value of `Prediction.media_seen`.
    """

    media: tuple[SeenMedia, ...]
    rows: tuple[dict[str, Any], ...]
    policy: PolicyVersion | None = None
    codes: frozenset[str] = DEFAULT_CODES


def evidence_of(
    items: Sequence[Item], policy: PolicyVersion | None, codes: frozenset[str]
) -> dict[int, Evidence | MediaError]:
    """Return by item id its evidence, or the error of its first unusable file.

    A faulty file affects only the items that contain it.
    """
    assets: dict[int, list[MediaAsset]] = {item.pk: [] for item in items}
    for link in ItemMedia.objects.filter(item__in=items).select_related("asset").order_by("item_id", "position"):
        assets[link.item_id].append(link.asset)
    distinct = {asset.sha256: asset for row in assets.values() for asset in row}
    found = decoded(list(distinct.values()))
    return {
        item_id: _evidence([(asset, found[asset.sha256]) for asset in row], policy, codes)
        for item_id, row in assets.items()
    }


def _evidence(
    row: list[tuple[MediaAsset, Decoded | MediaError]], policy: PolicyVersion | None, codes: frozenset[str]
) -> Evidence | MediaError:
    media: list[SeenMedia] = []
    rows: list[dict[str, Any]] = []
    for asset, shown in row:
        if isinstance(shown, MediaError):
            return shown
        media.append(shown.seen)
        rows.append(
            {
                "asset": asset.sha256,
                "folder": frames_folder_name(asset.sha256),
                "reader": shown.reader,
                "kind": shown.seen.kind.value,
                "codec": shown.codec,
                "source_frames": shown.source_frames,
                "whole": shown.whole is not None,
                "timestamps": [frame.timestamp_s for frame in shown.seen.frames],
                "width": shown.width,
                "height": shown.height,
            }
        )
    return Evidence(tuple(media), tuple(rows), policy, codes)
