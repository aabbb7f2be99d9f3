"""The order of the folders as a picture: `python -m tests.house_picture` writes docs/architecture.svg anew."""

from collections.abc import Iterator
from html import escape

from tests import house
from tests.paths import ROOT

PICTURE = ROOT / "docs" / "architecture.svg"
COLUMN, GAP, ROW, BOX, TOP = 420, 20, 34, 26, 64
CHARACTER = 7.1  # px of a character at the boxes' font size
COLOURS = {"guardapp": ("#e8eef9", "#3b5b92"), "annotation": ("#e7f3ec", "#2f6b4a"), "training": ("#f8eee2", "#8a5a1c")}
TITLES = {
    "guardapp": ("guardapp", "the guard as plain Python; set-up at the top"),
    "annotation": ("annotation", "people: items, queues, reviews, policies, export"),
    "training": ("training", "machines: snapshots, runs, evaluations, promotion"),
}


def floors_of(app: str) -> list[list[str]]:
    """The floors that hold places of this app, lowest first, each place without the app's name."""
    floors = [
        [name.removeprefix(f"{app}/") for name in line.split() if name.startswith(f"{app}/")]
        for line in house.ORDER.split("\n")
    ]
    return [floor for floor in floors if floor]


def drawn() -> str:
    """The picture as SVG: a column for each app, a row for each floor, an import always goes to a lower row."""
    height = TOP + ROW * max(len(rows(floors_of(app))) for app in house.APPS) + GAP
    width = len(house.APPS) * (COLUMN + GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="Inter, sans-serif">',
        "<title>The folders of guardapp, and which may import which: an import goes down or to the left</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for column, app in enumerate(house.APPS):
        parts += _column(app, GAP + column * (COLUMN + GAP), height)
    return "\n".join([*parts, "</svg>"]) + "\n"


def rows(floors: list[list[str]]) -> list[list[str]]:
    """Floors as rows of boxes: a floor that is wider than a column takes several."""
    found: list[list[str]] = []
    for floor in floors:
        row: list[str] = []
        for name in floor:
            if row and sum(map(_width, [*row, name])) > COLUMN:
                found.append(row)
                row = []
            row.append(name)
        found.append(row)
    return found


def _width(name: str) -> float:
    return len(name) * CHARACTER + 22


def _column(app: str, left: float, height: float) -> Iterator[str]:
    fill, ink = COLOURS[app]
    title, words = TITLES[app]
    yield f'<text x="{left}" y="26" font-size="17" font-weight="600" fill="{ink}">{title}</text>'
    yield f'<text x="{left}" y="45" font-size="12" fill="#555555">{escape(words)}</text>'
    for number, row in enumerate(rows(floors_of(app))):
        x, y = left, height - GAP - (number + 1) * ROW
        for name in row:
            wide = _width(name) - 8
            yield f'<rect x="{x:.0f}" y="{y}" width="{wide:.0f}" height="{BOX}" rx="5" fill="{fill}" stroke="{ink}"/>'
            yield f'<text x="{x + 7:.0f}" y="{y + 17}" font-size="12" fill="#222222">{escape(name)}</text>'
            x += _width(name)


if __name__ == "__main__":
    PICTURE.write_text(drawn())
