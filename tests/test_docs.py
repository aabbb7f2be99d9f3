"""What the documentation names exists: files, folders and the picture of the folders."""

import re
from pathlib import Path

import pytest

from tests import house_picture
from tests.paths import ROOT

PAGES = sorted(path for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")) if path.name != "CHANGELOG.md")
PLACE = re.compile(
    r"`((?:annotation|training|guardapp|tests|benchmarks|docker|docs|templates|static|translating)/[\w./-]*)`"
)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)\s#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text()
    missing = [name for name in PLACE.findall(text) if not (ROOT / name).exists()]
    missing += [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert missing == []


def test_the_picture_of_the_folders_is_the_order() -> None:
    assert house_picture.PICTURE.read_text() == house_picture.drawn(), "python -m tests.house_picture"
