"""A blank picture and a blank clip for batches without media.

If the weights are sharded, all processes must take part in gathering the vision tower's. A process whose batch has no
media would never do so, and the others would wait for ever. Each batch therefore gets one of each kind, which the loss
ignores.
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
    """Return a row with a picture and a row with a clip, both without completions."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "blank.png"
        Image.new("RGB", (SIDE, SIDE)).save(path)
        picture = SeenMedia(MediaKind.IMAGE, (Frame(path),))
        clip = SeenMedia(MediaKind.VIDEO, (Frame(path, 0.0), Frame(path, 1.0)), fps=1.0)
        return _row(processor, picture), _row(processor, clip)


def _row(processor: Any, media: SeenMedia) -> Encoded:
    return encode(processor, Sample(id="blank", prompt="", media=(media,)))


def missing_media(rows: list[Encoded], fillers: tuple[Encoded, ...]) -> list[Encoded]:
    """Return the fillers whose kind of media no row of the batch has."""
    present = {name for row in rows for name in row.pixels}
    return [filler for filler in fillers if not present & set(filler.pixels)]
