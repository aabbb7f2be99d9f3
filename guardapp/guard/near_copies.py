"""Near-copies: locality-sensitive fingerprints, and the similarity of two texts or two image hashes.

Texts: one-permutation minhash of three-word shingles (Li, Owen and Zhang 2012), with empty bins filled from the next
one (Shrivastava and Li 2014), in bands: texts of similarity s share at least one band with probability 1 − (1 −
s^ROWS)^BANDS.

Images: the 64-bit hashes of `guardapp.guard.media.image_hash`, cut into bands. Hashes that differ in fewer bits than
there are bands share at least one.
"""

import hashlib
from collections.abc import Sequence

from guardapp.guard.splits import normalise_text

SHINGLE_WORDS = 3
BANDS, ROWS = 8, 4
BINS = BANDS * ROWS
PICTURE_BANDS, PICTURE_BITS = 4, 64
# Jaccard similarity of shingles from which two texts count as near-copies
ALIKE_TEXT = 0.5
# the largest number of differing bits between the hashes of two near-copies
ALIKE_BITS = 10


def shingles(text: str) -> frozenset[str]:
    """The distinct three-word runs of the normalised text, or the whole text if it is shorter."""
    words = normalise_text(text).split()
    if len(words) <= SHINGLE_WORDS:
        return frozenset([" ".join(words)]) if words else frozenset()
    return frozenset(" ".join(words[at : at + SHINGLE_WORDS]) for at in range(len(words) - SHINGLE_WORDS + 1))


def text_bands(text: str) -> tuple[int, ...]:
    """Return BANDS signed 64-bit integers, or () for an empty text."""
    bins: list[int | None] = [None] * BINS
    for shingle in shingles(text):
        value = int.from_bytes(hashlib.blake2b(shingle.encode("utf-8", "surrogatepass"), digest_size=8).digest())
        at, rest = value % BINS, value // BINS
        held = bins[at]
        if held is None or rest < held:
            bins[at] = rest
    if all(value is None for value in bins):
        return ()
    full = [_filled(bins, at) for at in range(BINS)]
    return tuple(_signed64(repr(full[band * ROWS : (band + 1) * ROWS])) for band in range(BANDS))


def likeness(first: str, second: str) -> float:
    """Jaccard similarity of the shingles of two texts, 0 to 1; two empty texts give 0."""
    one, two = shingles(first), shingles(second)
    return len(one & two) / len(one | two) if one and two else 0.0


def picture_bands(value: int) -> tuple[int, ...]:
    """Split a 64-bit hash into PICTURE_BANDS numbers of 16 bits."""
    width = PICTURE_BITS // PICTURE_BANDS
    return tuple((value >> (width * band)) & ((1 << width) - 1) for band in range(PICTURE_BANDS))


def picture_of_bands(bands: Sequence[int]) -> int:
    """The inverse of `picture_bands`."""
    width = PICTURE_BITS // PICTURE_BANDS
    return sum(part << (width * band) for band, part in enumerate(bands))


def bits_apart(first: int, second: int) -> int:
    return (first ^ second).bit_count()


def _filled(bins: Sequence[int | None], at: int) -> int:
    """Return the bin's value, or the next full bin's value plus an offset.

    The offset grows with the distance, so that borrowed values do not look shared.
    """
    for distance in range(BINS):
        value = bins[(at + distance) % BINS]
        if value is not None:
            return value + distance * 1_000_003
    raise ValueError("Every bin is empty.")


def _signed64(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)
