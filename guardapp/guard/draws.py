"""Reproducible random draws, without stored state."""

import hashlib


def sticky_draw(purpose: object, *keys: object) -> float:
    """A number in [0, 1), determined by the arguments alone, so that every process draws the same.

    `sticky_draw(purpose, key) < share` samples a share of the keys. A larger share contains a smaller one;
    different purposes draw independently.
    """
    words = ":".join(str(part) for part in (purpose, *keys))
    # the 53 bits of a float, so that rounding never gives 1.0
    return (int.from_bytes(hashlib.sha256(words.encode()).digest()[:8]) >> 11) / 2**53
