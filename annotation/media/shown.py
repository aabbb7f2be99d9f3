"""How people see a file: in a player, as a picture, as an animation that they start, or as frames and copies of it.

What a browser cannot show is never converted here: the decoding child stores frames, and a copy of a picture, when it
reads the file for the guard.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.urls import reverse

from annotation.media.files import frames_at, frames_folder_name
from annotation.models import Item, MediaAsset, Prediction
from guardapp.guard.media.decode import load_seen
from guardapp.guard.media.errors import MediaError
from guardapp.guard.taxonomy import MediaKind

How = Literal["image", "animation", "player", "frames", "copy", "nothing", "gone"]

IN_BROWSERS = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "image/bmp"})
ANIMATED_IN_BROWSERS = frozenset({"image/png", "image/webp", "image/gif", "image/avif-sequence"})
# Containers that no browser plays
NEVER_PLAYED = frozenset({"video/x-msvideo", "video/mp2t", "video/mpeg", "image/heic-sequence"})
# What to ask HTMLMediaElement.canPlayType for, by codec. A codec that is missing here is played by no browser.
PLAYED = {
    "h264": 'video/mp4; codecs="avc1.42E01E"',
    "hevc": 'video/mp4; codecs="hvc1.1.6.L93.B0"',
    "av1": 'video/mp4; codecs="av01.0.04M.08"',
    "vp8": 'video/webm; codecs="vp8"',
    "vp9": 'video/webm; codecs="vp9"',
}
# Played by some: the player is shown only once the browser has said that it can.
SOMETIMES_PLAYED = frozenset({"hevc"})


@dataclass(frozen=True, slots=True)
class SeenFrame:
    medium: int
    index: int
    timestamp_s: float
    url: str


@dataclass(frozen=True, slots=True)
class Medium:
    """One file of the item and its frames. They are what the guard saw if `seen`; there may be none before.

    `source_frames` is the number of frames, pages or pictures in the file; `copy` is the address of a picture that
    browsers show in place of the file.
    """

    asset: MediaAsset
    number: int
    frames: tuple[SeenFrame, ...]
    width: int | None
    height: int | None
    seen: bool
    codec: str
    source_frames: int | None
    copy: str

    @property
    def is_video(self) -> bool:
        return self.asset.kind == MediaKind.VIDEO

    @property
    def how(self) -> How:
        mime = self.asset.mime
        if self.asset.deleted_at is not None:
            return "gone"
        if not self.is_video:
            return "image" if mime in IN_BROWSERS else "copy" if self.copy else "nothing"
        if mime in ANIMATED_IN_BROWSERS:
            return "animation"
        if mime in NEVER_PLAYED or (self.codec and self.codec not in PLAYED):
            return "frames"
        return "player"

    @property
    def plays(self) -> str:
        """What the browser must be able to play; "" where the codec is not known."""
        return PLAYED.get(self.codec, "")

    @property
    def asks_first(self) -> bool:
        return self.codec in SOMETIMES_PLAYED

    @property
    def is_paged(self) -> bool:
        return self.asset.mime == "image/tiff"

    @property
    def unseen(self) -> bool:
        """Whether the file holds more frames, pages or pictures than the guard saw."""
        return self.seen and (self.source_frames or 0) > len(self.frames)


def media_of(item: Item, prediction: Prediction | None) -> tuple[Medium, ...]:
    rows = list(prediction.media_seen) if prediction is not None else []
    links = item.item_media.select_related("asset").order_by("position")
    return tuple(
        _seen(number, link.asset, rows[number], prediction)
        if prediction is not None and number < len(rows)
        else _decoded(number, link.asset)
        for number, link in enumerate(links)
    )


def _seen(number: int, asset: MediaAsset, row: Mapping[str, Any], prediction: Prediction) -> Medium:
    frames = tuple(
        SeenFrame(number, index, float(time), reverse("frame", args=[prediction.pk, number, index]))
        for index, time in enumerate(row.get("timestamps", []))
    )
    return Medium(
        asset,
        number,
        frames,
        row.get("width"),
        row.get("height"),
        seen=bool(frames),
        codec=row.get("codec") or "",
        source_frames=row.get("source_frames"),
        copy=reverse("asset_copy", args=[asset.sha256]) if row.get("whole") else "",
    )


def _decoded(number: int, asset: MediaAsset) -> Medium:
    """A file without a prediction: with frames if it has been decoded, such as where its text was too long."""
    try:
        decoded = load_seen(frames_at(frames_folder_name(asset.sha256)))
    except MediaError:
        return Medium(asset, number, (), None, None, seen=False, codec="", source_frames=None, copy="")
    frames = tuple(
        SeenFrame(number, index, frame.timestamp_s, reverse("asset_frame", args=[asset.sha256, index]))
        for index, frame in enumerate(decoded.seen.frames)
    )
    return Medium(
        asset,
        number,
        frames,
        decoded.width,
        decoded.height,
        seen=False,
        codec=decoded.codec,
        source_frames=decoded.source_frames,
        copy=reverse("asset_copy", args=[asset.sha256]) if decoded.whole else "",
    )
