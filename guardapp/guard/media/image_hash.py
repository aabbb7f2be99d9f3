"""A 64-bit perceptual hash of a decoded frame: near-copies of a picture differ in few bits."""

from pathlib import Path

from PIL import Image

SIDE = 8  # 8 × 8 comparisons


def difference_hash(frame: Path) -> int:
    """Hash a frame. Raises OSError.

    Bits run from left to right, row by row: 1 if a cell of the 9 × 8 grey thumbnail is brighter than its right
    neighbour.
    """
    with Image.open(frame) as picture:
        small = picture.convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    grey = small.tobytes()
    bits = 0
    for row in range(SIDE):
        for column in range(SIDE):
            at = row * (SIDE + 1) + column
            bits = (bits << 1) | (grey[at] > grey[at + 1])
    return bits
