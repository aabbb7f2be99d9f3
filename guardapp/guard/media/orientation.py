"""The eight ways to show a picture upright: EXIF orientations and the display matrices of videos."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

ORIENTATION_TAG = 0x0112
# A display matrix that turns by anything but a multiple of 90 degrees is ignored, as browsers do.
TOLERANCE_DEGREES = 1.0
TURNS = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}


@dataclass(frozen=True, slots=True)
class Orientation:
    """What shows a coded picture upright: mirror it left to right, then turn it clockwise by `rotation` degrees."""

    rotation: int = 0
    mirrored: bool = False

    @property
    def turns_sides(self) -> bool:
        return self.rotation in (90, 270)

    def size(self, width: float, height: float) -> tuple[int, int]:
        """The upright size of a picture of this coded size."""
        width, height = max(1, round(width)), max(1, round(height))
        return (height, width) if self.turns_sides else (width, height)

    def apply(self, picture: Image.Image) -> Image.Image:
        if self.mirrored:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        turn = TURNS.get(self.rotation)
        return picture if turn is None else picture.transpose(turn)


UPRIGHT = Orientation()
# EXIF 2.32, tag 274
BY_EXIF = {
    2: Orientation(0, mirrored=True),
    3: Orientation(180),
    4: Orientation(180, mirrored=True),
    5: Orientation(270, mirrored=True),
    6: Orientation(90),
    7: Orientation(90, mirrored=True),
    8: Orientation(270),
}


def of_exif(block: bytes | None) -> Orientation:
    """Read the orientation of an EXIF block; upright without one, and where it cannot be read."""
    if not block:
        return UPRIGHT
    exif = Image.Exif()
    try:
        exif.load(block)
        return BY_EXIF.get(exif.get(ORIENTATION_TAG, 1), UPRIGHT)
    except (SyntaxError, ValueError, TypeError, OSError):
        return UPRIGHT


def of_matrix(matrix: Sequence[int]) -> Orientation:
    """Read a display matrix: a, b, u, c, d, v, x, y, w, where (x, y) is shown at (ax + cy, bx + dy)."""
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    determinant = a * d - b * c
    if determinant == 0:
        return UPRIGHT
    mirrored = determinant < 0
    if mirrored:
        a, b = -a, -b
    degrees = math.degrees(math.atan2(b, a)) % 360
    rotation = round(degrees / 90) * 90
    if abs(degrees - rotation) > TOLERANCE_DEGREES:
        return UPRIGHT
    return Orientation(rotation % 360, mirrored)
