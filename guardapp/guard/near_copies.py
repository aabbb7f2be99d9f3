"""Near-copies: locality-sensitive fingerprints of texts, and how alike two texts or two picture hashes are.

Texts: one-permutation minhash of three-word shingles (Li, Owen and Zhang 2012), empty bins filled from the next one
(Shrivastava and Li 2014), read in bands: texts of similarity s share at least one band with probability 1 − (1 −
s^ROWS)^BANDS. Pictures: 64-bit hashes of `media_hash`, cut into bands: hashes that differ in fewer bits than there are
bands share one.
"""

import hashlib
from collections.abc import Sequence

from guardapp.guard.splits import normalise_text

SHINGLE_WORDS = 3
BANDS, ROWS = 8, 4
BINS = BANDS * ROWS
PICTURE_BANDS, PICTURE_BITS = 4, 64
ALIKE_TEXT = 0.5  # Jaccard similarity of shingles from which two texts count as near-copies
ALIKE_BITS = 10  # most bits in which the hashes of two near-copies of a picture differ


def shingles(text: str) -> frozenset[str]:
    """The distinct runs of three words, markup of case and punctuation off; the whole text where it is shorter."""
    words = normalise_text(text).split()
    if len(words) <= SHINGLE_WORDS:
        return frozenset([" ".join(words)]) if words else frozenset()
    return frozenset(" ".join(words[at : at + SHINGLE_WORDS]) for at in range(len(words) - SHINGLE_WORDS + 1))


def text_bands(text: str) -> tuple[int, ...]:
    """BANDS signed 64-bit numbers; () for an empty text."""
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
    """Jaccard similarity of two texts' shingles, 0 to 1; two empty texts are not alike."""
    one, two = shingles(first), shingles(second)
    return len(one & two) / len(one | two) if one and two else 0.0


def picture_bands(value: int) -> tuple[int, ...]:
    """A 64-bit hash in PICTURE_BANDS numbers of 16 bits."""
    width = PICTURE_BITS // PICTURE_BANDS
    return tuple((value >> (width * band)) & ((1 << width) - 1) for band in range(PICTURE_BANDS))


def picture_of_bands(bands: Sequence[int]) -> int:
    """The inverse of `picture_bands`."""
    width = PICTURE_BITS // PICTURE_BANDS
    return sum(part << (width * band) for band, part in enumerate(bands))


def bits_apart(first: int, second: int) -> int:
    return (first ^ second).bit_count()


def _filled(bins: Sequence[int | None], at: int) -> int:
    """The bin's value, else the next full one's, moved by the distance so that borrowed values do not look shared."""
    for distance in range(BINS):
        value = bins[(at + distance) % BINS]
        if value is not None:
            return value + distance * 1_000_003
    raise ValueError("Every bin is empty.")


def _signed64(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)
