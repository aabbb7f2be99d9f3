"""Draw the images of the starter's media rows with Pillow: large text, titled lists, simple objects."""

from random import Random
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from training.starter.grammar import lexicon

Colour = tuple[int, int, int]
_DARK = ((0, 0, 0), (20, 20, 60), (90, 0, 0), (0, 60, 0), (60, 0, 60), (40, 40, 40))
_LIGHT = ((255, 255, 255), (255, 255, 210), (220, 240, 255), (255, 230, 230), (230, 255, 230), (235, 235, 235))
# pixels between lines: one patch of the guard after merging
GRID_LINE = 32
GRID_FONT, GRID_LEFT, GRID_TOP = 18, 4, 5  # pixels
TITLES = ("how to", "guide", "steps", "today", "notice", "idea", "plan", "")


def draw_text(text: str, look: dict[str, Any], size: tuple[int, int]) -> Image.Image:
    """Draw the text on a plain background: on the grid if the look says so, else as large as possible.

    `look` is {"seed", "style", "title"}, optionally with "grid"; it determines everything else.
    """
    random = Random(f"look-{look['seed']}")
    ground, ink = _colours(random)
    picture = Image.new("RGB", size, ground)
    pen = ImageDraw.Draw(picture)
    lines = _lines(text, look)
    if look.get("grid"):
        for number, line in enumerate(lines):
            pen.text((GRID_LEFT, number * GRID_LINE + GRID_TOP), line, fill=ink, font=_font(GRID_FONT))
        return picture
    font = _largest_font(pen, lines, size, shrink=random.uniform(0.9, 1.0))
    height = _line_height(font)
    left = random.randint(4, 8)
    top = max(2, (size[1] - height * len(lines)) // 2 + random.randint(-6, 6))
    for number, line in enumerate(lines):
        pen.text((left, top + number * height), line, fill=ink, font=font)
    return picture


def grid_height(text: str, look: dict[str, Any]) -> int:
    """Height in pixels of an image with the text's lines on the grid, at least 128."""
    return GRID_LINE * max(4, len(_lines(text, look)))


def draw_object(name: str, look: dict[str, Any], size: tuple[int, int]) -> Image.Image:
    """Draw one simple object at a random position on a plain background."""
    random = Random(f"look-{look['seed']}")
    picture = Image.new("RGB", size, random.choice(_LIGHT))
    side = random.randint(min(size) // 2, min(size) - 8)
    left, top = random.randint(2, size[0] - side - 2), random.randint(2, size[1] - side - 2)
    pen = ImageDraw.Draw(picture)

    # coordinates within a square of 64
    def at(*points: list[int]) -> list[tuple[int, int]]:
        return [(left + x * side // 64, top + y * side // 64) for x, y in points]

    for shape, points, colour in lexicon("objects")[name]:
        fill = tuple(colour)
        if shape == "polygon":
            pen.polygon(at(*points), fill=fill)
        elif shape == "ellipse":
            pen.ellipse(at(*points), fill=fill, outline=(60, 60, 60))
        elif shape == "line":
            pen.line(at(*points), fill=fill, width=max(2, side // 20))
        else:
            pen.rectangle(at(*points), fill=fill)
    return picture


def blank(look: dict[str, Any], size: tuple[int, int]) -> Image.Image:
    """The background alone, in the colour that the same look gives to a text."""
    return Image.new("RGB", size, _colours(Random(f"look-{look['seed']}"))[0])


def _colours(random: Random) -> tuple[Colour, Colour]:
    ground, ink = random.choice(_LIGHT), random.choice(_DARK)
    return (ink, ground) if random.random() < 0.3 else (ground, ink)


def _lines(text: str, look: dict[str, Any]) -> list[str]:
    """Put one or two words on a line; the list style adds a title above and numbers below."""
    text = text.upper() if look["style"] in ("upper", "list") else text.capitalize()
    words = text.split(" ")
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) < 9:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    if look["title"]:
        lines.insert(0, look["title"].upper() if look["style"] != "plain" else look["title"])
    return [*lines, "1.", "2.", "3."] if look["style"] == "list" else lines


def _largest_font(
    pen: ImageDraw.ImageDraw, lines: list[str], size: tuple[int, int], shrink: float
) -> ImageFont.FreeTypeFont:
    wide = max(pen.textlength(line, font=_font(100)) for line in lines) / 100
    high = _line_height(_font(100)) / 100 * len(lines)
    return _font(max(10, int(min((size[0] - 8) / wide, (size[1] - 4) / high) * shrink)))


def _font(points: int) -> ImageFont.FreeTypeFont:
    """The font included in Pillow (Aileron), so that no system font is needed."""
    font = ImageFont.load_default(points)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType: pictures with text cannot be drawn.")
    return font


def _line_height(font: ImageFont.FreeTypeFont) -> int:
    ascent, descent = font.getmetrics()
    return ascent + descent
