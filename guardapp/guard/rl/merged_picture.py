"""Draw the merged picture of a concatenation; the layout is in guardapp.guard.rl.concatenation."""

from pathlib import Path

from PIL import Image

from guardapp.guard.media.images import save_png
from guardapp.guard.rl.concatenation import merged_layout
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Frame, MediaPreset, SeenMedia


def merge_images(first: SeenMedia, second: SeenMedia, preset: MediaPreset, path: Path) -> SeenMedia:
    """Draw both pictures on one white page and write it to `path` as PNG.

    The sources are frames, already decoded and resized. Raises OSError if one is missing, MediaTooNarrow or
    MediaStorageFailed.
    """
    pictures = [_load(medium.frames[0].path) for medium in (first, second)]
    layout = merged_layout(pictures[0].size, pictures[1].size, preset)
    page = Image.new("RGB", (layout.width, layout.height), "white")
    for picture, box in zip(pictures, layout.boxes, strict=True):
        page.paste(picture.resize((box.width, box.height), Image.Resampling.BICUBIC), (box.left, box.top))
    unfinished = path.with_name(path.name + ".unfinished")
    save_png(page, unfinished)
    unfinished.replace(path)
    return SeenMedia(MediaKind.IMAGE, (Frame(path),))


def _load(path: Path) -> Image.Image:
    with Image.open(path) as opened:
        return opened.convert("RGB")
