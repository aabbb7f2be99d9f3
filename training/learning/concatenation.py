"""Rows → safety-aware concatenations, with their merged pictures on disk."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from guardapp.guard.rl.concatenation import Labelled, concatenated, pair_rows
from guardapp.guard.rl.merged_picture import merge_images
from guardapp.guard.verdict import MediaPreset, SeenMedia
from training.learning.rows import Row

SOURCE = "concatenation"


def concatenated_rows(
    rows: Sequence[Row], folder: Path, *, share: float, balance: bool, seed: int, preset: MediaPreset
) -> list[Row]:
    """Return concatenations such that they become `share` of all rows. They have no completions and serve GRPO only.

    Merged pictures are written to `folder`. The same arguments give the same rows. Raises ConcatShareOutOfRange,
    MediaError, or OSError for a missing frame.
    """
    labelled = [Labelled(row.sample, row.verdict) for row in rows]
    folder.mkdir(parents=True, exist_ok=True)
    joined = []
    for one, other in pair_rows(labelled, share=share, balance=balance, seed=seed):
        row = concatenated(labelled[one], labelled[other], _merged(labelled[one], labelled[other], preset, folder))
        joined.append(Row(row.sample, row.verdict, completion="", source=SOURCE))
    return joined


def _merged(first: Labelled, second: Labelled, preset: MediaPreset, folder: Path) -> SeenMedia | None:
    if not first.sample.media:
        return None
    one, other = first.sample.media[0], second.sample.media[0]
    content = repr((one.frames[0].path, other.frames[0].path, preset))
    return merge_images(one, other, preset, folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.png")
