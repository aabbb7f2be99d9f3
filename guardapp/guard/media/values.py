"""Values of media decoding: limits, presets, and a decoded file in memory and on disk."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from guardapp.guard.media.errors import MediaNotStored
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Frame, MediaPreset, SeenMedia

Reader = Literal["pillow", "decord", "pyav"]

MIB = 1 << 20
MANIFEST = "frames.json"
MANIFEST_VERSION = 1
# Part of the name of a frame folder: raised where the same file would give other frames, so that what an older
# prediction saw stays as it was.
DECODER = 2
WHOLE = "whole.jpg"  # the picture for browsers that cannot show its format
FRAME_NAME = re.compile(r"[0-9]{4,6}\.png")


@dataclass(frozen=True, slots=True)
class Limits:
    """Resource limits for one untrusted file. Sizes in bytes, pixels = width x height, times in seconds."""

    max_bytes: int = 512 * MIB
    max_image_pixels: int = 64_000_000
    max_video_pixels: int = 7_680 * 4_320  # per source frame
    max_duration_s: float = 7_200.0
    max_source_frames: int = 500_000
    memory_bytes: int = 2_048 * MIB  # address space of the child process
    cpu_s: int = 120  # per file
    wall_s: float = 120.0  # per file
    max_frame_bytes: int = 64 * MIB  # the largest file that the child may write
    open_files: int = 64
    # A clip that decodes to more pixels than this goes to PyAV. PyAV scales while it decodes and holds one frame,
    # whereas decord's memory grows with the clip. 2e9 is about 70 s of 720p at 30 frames a second.
    decord_pixels: float = 2e9
    # Above this, only keyframes near the wanted times are decoded: a full pass takes about 1.5 s per 1e9 pixels.
    sequential_pixels: float = 1.2e10
    # Canvas pixels x frames of an animation: 4e9 takes some 40 s.
    animation_pixels: float = 4e9


@dataclass(frozen=True, slots=True)
class Decoded:
    """The frames that the guard sees, and their origin.

    `source_width` and `source_height` are as coded, before `mirrored` (left to right) and `rotation` (degrees clockwise
    that were then applied to show the source upright: 0, 90, 180 or 270). `pixel_aspect` is the width of a coded pixel
    over its height. `width` and `height` are those of the stored frames. Timestamps are seconds on the clock that a
    player shows, on which the first frame is at `start_s`. `source_fps` is the source's mean rate. `source_frames` of
    an image is the number of its pages or pictures, of which the first is seen; None for one.
    """

    seen: SeenMedia
    reader: Reader
    mime: str
    codec: str
    source_width: int
    source_height: int
    width: int
    height: int
    rotation: int = 0
    mirrored: bool = False
    start_s: float = 0.0
    duration_s: float | None = None
    source_fps: float | None = None
    source_frames: int | None = None
    # the clip was too long for a full pass, so the frames are the keyframes nearest to the wanted times
    keyframes_only: bool = False
    pixel_aspect: float = 1.0
    # beside the frames: the picture in a format that browsers show
    whole: str | None = None


PRESETS: dict[str, MediaPreset] = {
    preset.name: preset
    for preset in (
        MediaPreset(
            name="starter",
            fps=2.0,
            max_frames=16,
            max_pixels_per_frame=128 * 128,
            min_pixels_per_frame=32 * 32,
            image_max_pixels=256 * 256,
            image_min_pixels=32 * 32,
            size_multiple=32,
        ),
        # GuardReasoner-Omni 2B/4B (148k), as published. No smallest frame size is published; 4,096 is that of its
        # images in RL.
        MediaPreset(
            name="omni-148k",
            fps=2.0,
            max_frames=128,
            max_pixels_per_frame=65_536,
            min_pixels_per_frame=4_096,
            image_max_pixels=768 * 768,
            image_min_pixels=4_096,
            size_multiple=32,
        ),
        # GuardReasoner-Omni's 181k release, on Qwen2.5-Omni
        MediaPreset(
            name="omni-181k",
            fps=1.0,
            max_frames=128,
            max_pixels_per_frame=64 * 28 * 28,
            min_pixels_per_frame=4 * 28 * 28,
            image_max_pixels=2_048 * 28 * 28,
            image_min_pixels=4 * 28 * 28,
            size_multiple=28,
        ),
        # Images follow the defaults of the Qwen2.5-VL processor. No video budget is published for GuardReasoner-VL, so
        # we use the Omni release's; `extra` records that.
        MediaPreset(
            name="vl",
            fps=1.0,
            max_frames=128,
            max_pixels_per_frame=64 * 28 * 28,
            min_pixels_per_frame=4 * 28 * 28,
            image_max_pixels=16_384 * 28 * 28,
            image_min_pixels=4 * 28 * 28,
            size_multiple=28,
            extra={"video": "not published"},
        ),
    )
}


def to_manifest(decoded: Decoded) -> dict[str, Any]:
    """The JSON form of a decoded file; frame names are relative to their folder."""
    fields = {name: getattr(decoded, name) for name in Decoded.__slots__ if name != "seen"}
    frames = [{"file": frame.path.name, "timestamp_s": frame.timestamp_s} for frame in decoded.seen.frames]
    return {
        "version": MANIFEST_VERSION,
        "kind": decoded.seen.kind.value,
        "fps": decoded.seen.fps,
        "frames": frames,
        **fields,
    }


def from_manifest(manifest: dict[str, Any], folder: Path) -> Decoded:
    """Read the output of `to_manifest` and check that every frame exists. Raises MediaNotStored."""
    try:
        if manifest["version"] != MANIFEST_VERSION:
            raise MediaNotStored(
                f"the manifest has version {manifest['version']}, this program reads {MANIFEST_VERSION}"
            )
        names = [str(row["file"]) for row in manifest["frames"]]
        if manifest.get("whole") not in (None, WHOLE):
            raise MediaNotStored("the picture for browsers has another name")
        if not names or not all(FRAME_NAME.fullmatch(name) and (folder / name).is_file() for name in names):
            raise MediaNotStored("frames are missing")
        frames = tuple(
            Frame(folder / name, float(row["timestamp_s"])) for name, row in zip(names, manifest["frames"], strict=True)
        )
        kind = MediaKind(manifest["kind"])
        unseen = (manifest.get("source_frames") or 1) - 1 if kind is MediaKind.IMAGE else 0
        seen = SeenMedia(kind, frames, manifest["fps"], unseen)
        # fields that were added later may be missing
        fields = {name: manifest[name] for name in Decoded.__slots__ if name in manifest}
        return Decoded(seen=seen, **fields)
    except (KeyError, TypeError, ValueError) as error:
        raise MediaNotStored(f"not a valid manifest: {error}") from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the stored frames.json. Raises MediaNotStored."""
    try:
        return cast(dict[str, Any], json.loads((folder / MANIFEST).read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise MediaNotStored(type(error).__name__) from error


def preset_values(preset: MediaPreset) -> dict[str, Any]:
    return asdict(preset)
