"""Fingerprints of near-copies."""

from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageEnhance

from guardapp.guard.media.image_hash import difference_hash
from guardapp.guard.near_copies import (
    ALIKE_BITS,
    bits_apart,
    likeness,
    picture_bands,
    picture_of_bands,
    shingles,
    text_bands,
)

LONG = (
    "The quick brown fox jumps over the lazy dog while the cat watches from the warm window sill and thinks about "
    "dinner and milk, "
    "and nobody in the house hears the rain that falls on the roof all night long"
)


def shared(first: str, second: str) -> int:
    return sum(one == two for one, two in zip(text_bands(first), text_bands(second), strict=True))


def test_case_marks_and_blanks_do_not_count() -> None:
    assert text_bands("How do I, PICK a lock?!") == text_bands("how do i pick a   lock")


def test_a_changed_word_leaves_bands_in_common_and_another_text_leaves_none() -> None:
    assert shared(LONG, LONG.replace("lazy dog", "sleepy dog")) >= 1
    assert shared(LONG, "Please tell me how to bake a cake with flour, sugar, eggs and butter in an old stove") == 0


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("a b c d", "a b c d", 1.0),
        ("a b c d", "a b c e", 1 / 3),
        ("a b", "a b", 1.0),
        ("", "", 0.0),
        ("a b c", "x y z", 0.0),
    ],
)
def test_likeness_is_the_share_of_shingles_in_common(first: str, second: str, expected: float) -> None:
    assert likeness(first, second) == pytest.approx(expected)


def test_a_text_of_nothing_has_no_bands() -> None:
    assert text_bands("  ") == () and shingles("") == frozenset()


@pytest.mark.parametrize("value", [0, 1, 0xFFFFFFFFFFFFFFFF, 0x0123456789ABCDEF])
def test_picture_bands_hold_the_whole_hash(value: int) -> None:
    assert picture_of_bands(picture_bands(value)) == value


def test_a_picture_that_was_scaled_and_brightened_is_near_and_another_one_is_not(tmp_path: Path) -> None:
    picture = Image.new("RGB", (200, 150), "white")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((20, 20, 120, 120), fill="navy")
    draw.rectangle((130, 60, 190, 140), fill="orange")
    other = Image.new("RGB", (200, 150), "white")
    ImageDraw.Draw(other).polygon([(100, 10), (190, 140), (10, 140)], fill="green")
    picture.save(tmp_path / "a.png")
    ImageEnhance.Brightness(picture.resize((320, 240))).enhance(0.8).save(tmp_path / "b.png")
    other.save(tmp_path / "c.png")
    first, near, far = (difference_hash(tmp_path / f"{name}.png") for name in "abc")
    assert bits_apart(first, near) <= ALIKE_BITS < bits_apart(first, far)
