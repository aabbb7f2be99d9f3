"""Content that comes without an id gets one that is the same whichever way it comes."""

from pathlib import Path

import pytest

from annotation.ingest.made_id import made_id
from tests.paths import ROOT

BREAD = "sha256-c98cbb598465930d06a487f54df68ae6023cda9e"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (("How do I bake bread?", None, (b"one", b"two")), True),
        (("How do I bake bread?", "", (b"one", b"two")), False),
        (("How do I bake Bread?", None, (b"one", b"two")), False),
        (("How do I bake bread?", None, (b"two", b"one")), False),
        (("How do I bake bread?", None, (b"one",)), False),
        (("How do I bake bread?\ud800", None, (b"one", b"two")), False),
    ],
)
def test_the_id_follows_from_the_content(
    other: tuple[str, str | None, tuple[bytes, ...]], same: bool, tmp_path: Path
) -> None:
    (tmp_path / "two").write_bytes(b"two")
    first = made_id("How do I bake bread?", None, [b"one", tmp_path / "two"])
    assert (made_id(*other) == first) is same


def test_an_id_of_before_stays_what_it_was() -> None:
    assert made_id("How do I bake bread?", None, []) == BREAD


def test_nobody_else_makes_ids() -> None:
    making = [path.name for path in (ROOT / "annotation").rglob("*.py") if 'f"sha256-' in path.read_text()]
    assert making == ["made_id.py"]
