"""Decode still pictures to RGB with Pillow. Runs only in the child process."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, TiffImagePlugin

from guardapp.guard.media import orientation
from guardapp.guard.media.apng import first_frame
from guardapp.guard.media.cut_files import boxes_run_past_end, riff_is_cut
from guardapp.guard.media.errors import MediaCorrupt, MediaError, MediaStorageFailed, MediaTooLarge, MediaTruncated
from guardapp.guard.media.orientation import Orientation
from guardapp.guard.media.sizes import fit_size
from guardapp.guard.media.values import WHOLE, Decoded, Limits
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Frame, MediaPreset, SeenMedia

FORMATS = {
    # phones write MPO: a JPEG followed by a second picture
    "image/jpeg": ("JPEG", "MPO"),
    "image/png": ("PNG",),
    "image/webp": ("WEBP",),
    "image/gif": ("GIF",),
    "image/avif": ("AVIF",),
    "image/heic": ("HEIF",),
    "image/heif": ("HEIF",),
    "image/tiff": ("TIFF",),
    "image/bmp": ("BMP",),
}
# Browsers show these only after conversion.
NOT_IN_BROWSERS = ("image/heic", "image/heif", "image/tiff")
# Formats whose EXIF orientation browsers follow; of AVIF Pillow gives that of its own boxes. They ignore it in WebP.
EXIF_FOLLOWED = ("image/jpeg", "image/png", "image/avif")
WHOLE_SIDE = 2_048
# Pillow's plugins raise any of these on damaged files.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    RuntimeError,
    struct.error,
)
# what the libraries say of a file that ends too early
CUT = ("truncat", "end of file", "unexpected eof", "insufficient")
ISO_MEDIA = ("image/heic", "image/heif", "image/avif")


def decode_image(source: Path, mime: str, preset: MediaPreset, limits: Limits, folder: Path) -> Decoded:
    """Decode a picture to one upright RGB PNG on white in `folder`: of several pages or pictures, the first.

    Colour profiles are not applied.
    """
    if FORMATS[mime] == ("HEIF",):
        _take_heif()
    with pillow_errors(source, mime, limits), Image.open(source, formats=FORMATS[mime]) as image:
        check_pixels(image.size, limits.max_image_pixels)
        turn, size = _orientation(image, mime), image.size
        if mime == "image/tiff" and turn.turns_sides:
            size = size[::-1]  # Pillow gives the upright size
        upright = turn.size(*size)
        fitted = fit_size(*upright, preset.image_min_pixels, preset.image_max_pixels, preset.size_multiple)
        image.load()
        picture = _picture(image, source, mime, turn)
        path = folder / "0000.png"
        save_png(on_white(picture, fitted), path)
        if mime in NOT_IN_BROWSERS:
            _save_whole(picture, folder)
        return Decoded(
            seen=SeenMedia(MediaKind.IMAGE, (Frame(path),)),
            reader="pillow",
            mime=mime,
            codec=mime.removeprefix("image/"),
            source_width=size[0],
            source_height=size[1],
            width=fitted[0],
            height=fitted[1],
            rotation=turn.rotation,
            mirrored=turn.mirrored,
            source_frames=_pictures_in(image),
            whole=WHOLE if mime in NOT_IN_BROWSERS else None,
        )


def _take_heif() -> None:
    """Let Pillow open HEIF, turned by its own boxes: its standard says that EXIF does not count."""
    import pillow_heif

    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.options.THUMBNAILS = pillow_heif.options.DEPTH_IMAGES = pillow_heif.options.AUX_IMAGES = False
    pillow_heif.register_heif_opener()


@contextmanager
def pillow_errors(source: Path, mime: str, limits: Limits) -> Iterator[None]:
    """Translate what Pillow raises to a MediaError."""
    Image.MAX_IMAGE_PIXELS = limits.max_image_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise MediaTooLarge(f"more than {limits.max_image_pixels:,} pixels") from error
    except DAMAGE as error:
        raise _damage(source, mime, error) from error


def check_pixels(size: tuple[int, int], most: int) -> None:
    if size[0] * size[1] > most:
        raise MediaTooLarge(f"{size[0]}x{size[1]} pixels, at most {most:,} in all")


def save_png(picture: Image.Image, path: Path) -> None:
    """Save losslessly, at compression level 1: frames are written far more often than transferred.

    Raises MediaStorageFailed.
    """
    try:
        picture.save(path, "PNG", compress_level=1)
    except OSError as error:
        raise MediaStorageFailed(error.strerror or str(error)) from error


def on_white(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    layer = image.convert("RGBA").resize(size, Image.Resampling.BICUBIC)
    page = Image.new("RGB", size, "white")
    page.paste(layer, mask=layer.getchannel("A"))
    return page


def exif_turn(image: Image.Image, mime: str) -> Orientation:
    """The orientation that browsers follow: EXIF in JPEG and PNG, the picture's own boxes in AVIF; nothing in WebP."""
    return orientation.of_exif(image.info.get("exif")) if mime in EXIF_FOLLOWED else orientation.UPRIGHT


def _orientation(image: Image.Image, mime: str) -> Orientation:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return orientation.BY_EXIF.get(image.tag_v2.get(orientation.ORIENTATION_TAG, 1), orientation.UPRIGHT)
    return exif_turn(image, mime)


def _picture(image: Image.Image, source: Path, mime: str, turn: Orientation) -> Image.Image:
    """The upright picture, in eight bits a channel."""
    if mime == "image/png":
        # one frame beside a picture for programs that show no animations: browsers show the frame
        image = first_frame(source, image) or image
    if mime == "image/tiff":
        return _eight_bit(image)  # Pillow has turned it
    return turn.apply(_eight_bit(image))


def _pictures_in(image: Image.Image) -> int | None:
    """How many pages or pictures the file holds, where that is more than one."""
    if image.format not in ("TIFF", "HEIF", "GIF", "WEBP"):
        return None
    count = int(getattr(image, "n_frames", 1))
    return count if count > 1 else None


def _save_whole(picture: Image.Image, folder: Path) -> None:
    """Save the picture for browsers, large enough to read what stands in it."""
    scale = min(1.0, WHOLE_SIDE / max(picture.size))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    try:
        on_white(picture, size).save(folder / WHOLE, "JPEG", quality=88)
    except OSError as error:
        raise MediaStorageFailed(error.strerror or str(error)) from error


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits; Pillow's own conversion clips it to white."""
    if image.mode == "F":  # scientific TIFF: from its darkest to its lightest value
        low, high = image.getextrema()
        scale = 255 / ((high - low) or 1)  # type: ignore[operator]
        return image.point(lambda value: value * scale - low * scale).convert("L")  # type: ignore[operator]
    if not image.mode.startswith("I"):
        return image
    return image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")


def _damage(source: Path, mime: str, error: Exception) -> MediaError:
    words = str(error).lower()
    cut = {"image/webp": riff_is_cut, **dict.fromkeys(ISO_MEDIA, boxes_run_past_end)}.get(mime)
    if any(word in words for word in CUT) or (cut is not None and cut(source)):
        return MediaTruncated()
    return MediaCorrupt(str(error).replace(str(source), "file")[:200])
