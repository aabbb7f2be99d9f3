"""Decode still pictures to RGB with Pillow. Runs only in the child process."""

import struct
import warnings
from pathlib import Path

from PIL import Image, ImageOps

from guardapp.guard.media.errors import MediaCorrupt, MediaError, MediaStorageFailed, MediaTooLarge, MediaTruncated
from guardapp.guard.media.sizes import fit_size
from guardapp.guard.media.values import Decoded, Limits
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Frame, MediaPreset, SeenMedia

FORMATS = {
    # phones write MPO: a JPEG followed by a second picture
    "image/jpeg": ("JPEG", "MPO"),
    "image/png": ("PNG",),
    "image/webp": ("WEBP",),
    "image/gif": ("GIF",),
    "image/avif": ("AVIF",),
}
ORIENTATION_TAG = 0x0112
# EXIF orientation: (degrees clockwise, mirrored); EXIF 2.32, tag 274
ORIENTATIONS = {
    2: (0, True),
    3: (180, False),
    4: (180, True),
    5: (270, True),
    6: (90, False),
    7: (90, True),
    8: (270, False),
}
# Pillow's plugins raise any of these on damaged files.
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, struct.error)


def decode_image(source: Path, mime: str, preset: MediaPreset, limits: Limits, folder: Path) -> Decoded:
    """Decode a picture, or an animation's first frame, to one upright RGB PNG on white in `folder`.

    Colour profiles are not applied.
    """
    Image.MAX_IMAGE_PIXELS = limits.max_image_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decode(source, mime, preset, limits, folder)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise MediaTooLarge(f"more than {limits.max_image_pixels:,} pixels") from error
    except DAMAGE as error:
        raise _damage(source, mime, error) from error


def save_png(picture: Image.Image, path: Path) -> None:
    """Save losslessly, at compression level 1: frames are written far more often than transferred.

    Raises MediaStorageFailed.
    """
    try:
        picture.save(path, "PNG", compress_level=1)
    except OSError as error:
        raise MediaStorageFailed(error.strerror or str(error)) from error


def _decode(source: Path, mime: str, preset: MediaPreset, limits: Limits, folder: Path) -> Decoded:
    with Image.open(source, formats=FORMATS[mime]) as image:
        source_width, source_height = image.size
        if source_width * source_height > limits.max_image_pixels:
            raise MediaTooLarge(f"{source_width}x{source_height} pixels, at most {limits.max_image_pixels:,} in all")
        rotation, mirrored = ORIENTATIONS.get(image.getexif().get(ORIENTATION_TAG, 1), (0, False))
        upright = (source_height, source_width) if rotation in (90, 270) else (source_width, source_height)
        size = fit_size(*upright, preset.image_min_pixels, preset.image_max_pixels, preset.size_multiple)
        image.load()
        picture = _on_white(_eight_bit(ImageOps.exif_transpose(image)), size)
    path = folder / "0000.png"
    save_png(picture, path)
    return Decoded(
        seen=SeenMedia(MediaKind.IMAGE, (Frame(path),)),
        reader="pillow",
        mime=mime,
        codec=mime.removeprefix("image/"),
        source_width=source_width,
        source_height=source_height,
        width=size[0],
        height=size[1],
        rotation=rotation,
        mirrored=mirrored,
    )


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits; Pillow's own conversion clips it to white."""
    if not image.mode.startswith("I"):
        return image
    return image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")


def _on_white(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    layer = image.convert("RGBA").resize(size, Image.Resampling.BICUBIC)
    page = Image.new("RGB", size, "white")
    page.paste(layer, mask=layer.getchannel("A"))
    return page


def _damage(source: Path, mime: str, error: Exception) -> MediaError:
    if "truncat" in str(error).lower() or (mime == "image/webp" and _riff_is_cut(source)):
        return MediaTruncated()
    return MediaCorrupt(str(error).replace(str(source), "file")[:200])


def _riff_is_cut(source: Path) -> bool:
    """Whether the file is shorter than its RIFF header states."""
    with source.open("rb") as stream:
        return int.from_bytes(stream.read(8)[4:], "little") + 8 > source.stat().st_size
