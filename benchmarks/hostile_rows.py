"""Rows of the worst kinds, made here: long, dense, repeated, huge, animated and mirrored."""

import base64
import io
import json
import random
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

SOURCE = "hostile"
LONGEST = 200_000  # characters: the limit of intake
METADATA_BYTES = 60_000
ENGLISH = "A mad text that never ends and says nothing, again and again, until somebody gives up. "
CHINESE = "这是一段很长的文字，它什么也没说，却永远不会结束。"
HINDI = "यह एक बहुत लंबा पाठ है जो कभी समाप्त नहीं होता। "
FAMILIES = "👩‍👩‍👧‍👦🏳️‍🌈👍🏽🇩🇪🇫🇷"
MARKS = [chr(code) for code in range(0x300, 0x36F)]
# x → -x in the matrix of a track header, at the places of a 16.16 fixed-point number
MIRROR = (0xFFFF0000).to_bytes(4, "big")
MATRIX_IN_TKHD = 40  # bytes after the box's type and version, for version 0

Row = dict[str, Any]


def hostile_rows(count: int, seed: int = 17) -> list[Row]:
    """`count` rows, the kinds taking turns; the same for the same seed."""
    chance = random.Random(seed)
    makers = list(KINDS.items())
    rows = []
    for number in range(count):
        name, make = makers[number % len(makers)]
        rows.append({"external_id": f"{name}-{number}", "source": SOURCE, **make(chance)})
    return rows


def _length(chance: random.Random) -> int:
    """Mostly far too long, sometimes long enough for windows."""
    return chance.choice([LONGEST, LONGEST, 150_000, 100_000, chance.randint(4_000, 40_000)])


def _filled(text: str, characters: int) -> str:
    return (text * (characters // len(text) + 1))[:characters]


def _long(chance: random.Random) -> Row:
    return {"prompt": _filled(ENGLISH, _length(chance))}


def _chinese(chance: random.Random) -> Row:
    return {"prompt": _filled(CHINESE, _length(chance) // 2)}


def _hindi(chance: random.Random) -> Row:
    return {"prompt": _filled(HINDI, _length(chance) // 2)}


def _emoji(chance: random.Random) -> Row:
    return {"prompt": _filled(FAMILIES, _length(chance) // 2)}


def _zalgo(chance: random.Random) -> Row:
    letters = [letter + "".join(chance.choices(MARKS, k=20)) for letter in "nobody can read this"]
    return {"prompt": _filled("".join(letters), _length(chance) // 2)}


def _one_letter(chance: random.Random) -> Row:
    return {"prompt": chance.choice("aZ.🎈\u0301") * _length(chance)}


def _one_word(chance: random.Random) -> Row:
    return {"prompt": base64.b64encode(chance.randbytes(_length(chance) * 3 // 4)).decode()}


def _both(chance: random.Random) -> Row:
    length = _length(chance) // 2
    return {"prompt": _filled(ENGLISH, length), "response": _filled(CHINESE, length // 3)}


def _response(chance: random.Random) -> Row:
    return {"prompt": "Write a long story.", "response": _filled(ENGLISH, _length(chance))}


def _many_categories(chance: random.Random) -> Row:
    names = [f"C{number}" for number in range(METADATA_BYTES // 9)]
    return {
        "prompt": "How do I bake bread?",
        "metadata": {"labels": names},
        "reason": {"text": " ".join(names)[:1_900]},
    }


def _huge_metadata(chance: random.Random) -> Row:
    nested: Any = "deep"
    for _ in range(60):
        nested = {"in": nested}
    facts = {f"key-{number}": chance.random() for number in range(1_200)}
    return {"prompt": "How do I bake cake?", "metadata": {"nested": nested, **facts}}


def _picture(chance: random.Random, side: int) -> Image.Image:
    return Image.frombytes("RGB", (side, side), chance.randbytes(side * side * 3))


def _animated(form: str) -> Callable[[random.Random], Row]:
    def make(chance: random.Random) -> Row:
        frames = [_picture(chance, 160) for _ in range(40)]
        content = io.BytesIO()
        frames[0].save(content, form, save_all=True, append_images=frames[1:], duration=80, loop=0)
        return {"prompt": "What moves here?", "media": [_data(f"image/{form.lower()}", content.getvalue())]}

    return make


def _mirrored(chance: random.Random) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=Fraction(10))
            stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
            for _ in range(40):
                picture = np.frombuffer(chance.randbytes(160 * 120 * 3), dtype=np.uint8).reshape(120, 160, 3)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        content = bytearray(path.read_bytes())
    at = content.find(b"tkhd") + 4 + MATRIX_IN_TKHD
    content[at : at + 4] = MIRROR
    return {"prompt": "What is in the mirror?", "media": [_data("video/mp4", bytes(content))]}


def _huge_picture(chance: random.Random) -> Row:
    content = io.BytesIO()
    Image.new("RGB", (6_000, 6_000), (chance.randrange(256), 9, 9)).save(content, "PNG")
    return {"prompt": "What is this?", "media": [_data("image/png", content.getvalue())]}


def _data(mime: str, content: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


KINDS: dict[str, Callable[[random.Random], Row]] = {
    "long": _long,
    "chinese": _chinese,
    "hindi": _hindi,
    "emoji": _emoji,
    "zalgo": _zalgo,
    "one-letter": _one_letter,
    "one-word": _one_word,
    "both": _both,
    "response": _response,
    "categories": _many_categories,
    "metadata": _huge_metadata,
    "gif": _animated("GIF"),
    "webp": _animated("WEBP"),
    "mirrored": _mirrored,
    "huge-picture": _huge_picture,
}


def size_of(row: Row) -> int:
    return len(json.dumps(row, ensure_ascii=False).encode())
