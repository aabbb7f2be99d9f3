"""A blank picture and a blank clip for batches without media.

Where each process holds only a share of the weights, the vision tower's are put together by all of them at once: a
process whose batch has no picture would leave the others waiting for ever. So every batch then holds one of each, which
the loss does not count.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from guardapp.guard.engines.hf.encoding import Encoded, encode
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Frame, Sample, SeenMedia

SIDE = 64  # pixels


def blank_media(processor: Any) -> tuple[Encoded, Encoded]:
    """A picture's row and a clip's row, neither of which has a completion."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "blank.png"
        Image.new("RGB", (SIDE, SIDE)).save(path)
        picture = SeenMedia(MediaKind.IMAGE, (Frame(path),))
        clip = SeenMedia(MediaKind.VIDEO, (Frame(path, 0.0), Frame(path, 1.0)), fps=1.0)
        return _row(processor, picture), _row(processor, clip)


def _row(processor: Any, media: SeenMedia) -> Encoded:
    return encode(processor, Sample(id="blank", prompt="", media=(media,)))


def missing_media(rows: list[Encoded], fillers: tuple[Encoded, ...]) -> list[Encoded]:
    """The fillers whose kind of pixels no row of the batch has."""
    present = {name for row in rows for name in row.pixels}
    return [filler for filler in fillers if not present & set(filler.pixels)]
