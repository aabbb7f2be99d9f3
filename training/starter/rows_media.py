"""Image and video rows of the starter guard, and their files. Imports neither torch nor transformers.

`generate_media` yields the rows; `render_image` and `render_clip` draw the content described in a row's "media".
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import av
from PIL import Image

from training.starter.answers import Answer, comply, help_out, refuse
from training.starter.drawing import TITLES, blank, draw_object, draw_text, grid_height
from training.starter.grammar import Topic, expand, lexicon, pick
from training.starter.perturb import QUOTE_WORDS, quote
from training.starter.prompts import Prompt, request
from training.starter.reasoning import completion, prompt_steps, response_steps

CLIP_FPS = 8  # frames per second of a rendered clip
CLIP_SIDES = ((96, 96), (128, 128))  # pixels
IMAGE_SIDES = ((128, 128), (128, 128), (192, 192), (192, 128))
_SAFE_OBJECT_SUBJECT = "a picture of an object"


def generate_media(
    seed: int, count: int, *, held_out_topics: bool, kind: str, scattered: bool = False
) -> Iterator[dict[str, Any]]:
    """Generate `count` rows of kind "image" or "video", like those of `rows_text.generate` plus "kind" and "media"."""
    for number in range(count):
        random = Random(f"{kind}-{seed}-{number}-{held_out_topics}")
        identifier = f"starter/{'held-out-' if held_out_topics else ''}{kind}/{seed}/{number}"
        make = _text_row if random.random() < 0.78 else _object_row
        yield make(identifier, kind, random, held_out_topics, scattered)


def render_image(row: dict[str, Any], path: Path) -> None:
    """Draw the row's image; the suffix of `path` selects the format."""
    _still(row["media"]).save(path)


def render_clip(row: dict[str, Any], path: Path) -> None:
    """Write the row's clip as MP4 (H.264 if FFmpeg was built with it, else MPEG-4)."""
    media = row["media"]
    shown, empty = _still(media), blank(media["look"], tuple(media["size"]))
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(CLIP_FPS))
        stream.width, stream.height = media["size"]
        stream.pix_fmt = "yuv420p"
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "crf": "20", "threads": "1"}
        for number in range(int(media["seconds"] * CLIP_FPS)):
            seen = media["from_s"] <= number / CLIP_FPS < media["to_s"]
            container.mux(stream.encode(av.VideoFrame.from_image(shown if seen else empty)))
        container.mux(stream.encode())


def _still(media: dict[str, Any]) -> Image.Image:
    size = tuple(media["size"])
    if media["object"]:
        return draw_object(media["object"], media["look"], size)
    return draw_text(media["text"], media["look"], size)


def _text_row(identifier: str, kind: str, random: Random, held_out: bool, scattered: bool) -> dict[str, Any]:
    """An image or clip of a short text, which determines the label unless the prompt itself is harmful."""
    wanted_harmful = random.random() < 0.5
    entries = [
        entry
        for entry in lexicon("media")["text"]
        if bool(entry["code"]) is wanted_harmful and entry.get("held_out", False) is held_out
    ]
    entry = random.choice(entries)
    text = pick(entry["texts"], random)
    media = _media(kind, random, scattered, text=text)
    prompt = pick(lexicon("media")["prompts"]["with_text"], random, medium=kind)
    steps = prompt_steps(_seen(media, f"says: {text}"), entry["code"], entry["topic"])
    made = Prompt(
        prompt,
        text,
        entry["code"],
        entry["topic"],
        Topic(entry["topic"], entry["code"], (), (), (), held_out),
        text,
        text,
    )
    if prompt and random.random() < 0.12:
        other = request(random, harmful=True, held_out=held_out)
        if len(other.text) < 120:
            made, prompt = other, other.text
            steps = prompt_steps(
                f"{steps[0]}, and the request says: {_short(other.evidence)}", other.code, other.subject
            )
    return _row(identifier, kind, media, made, prompt, steps, random)


def _object_row(identifier: str, kind: str, random: Random, held_out: bool, scattered: bool) -> dict[str, Any]:
    """An image or clip of an object; the prompt determines the label."""
    words = lexicon("media")
    names = words["objects"]["held_out"] if held_out else words["objects"]["harmless"] + 2 * words["objects"]["weapons"]
    name = random.choice(names)
    media = _media(kind, random, scattered, thing=name)
    draw = random.random()
    slots = {"object": name, "medium": kind}
    weapon = name in words["objects"]["weapons"]
    if draw < 0.35:
        prompt = expand(random.choice(words["prompts"]["harm_with_object"][0 if weapon else 2 :]), random, **slots)
        code = "S2" if "steal" in prompt else "S1"
        subject = "theft" if code == "S2" else "violence"
    else:
        code, subject = "", _SAFE_OBJECT_SUBJECT
        prompt = pick(words["prompts"]["with_object" if draw < 0.7 else "harmless_with_object"], random, **slots)
    seen = _seen(media, f"shows a {name}")
    steps = prompt_steps(f"{seen}, and the request says: {_short(prompt)}" if code else seen, code, subject)
    made = Prompt(prompt, prompt, code, subject, Topic(subject, code, (), (), (), held_out), "do that", "that")
    return _row(identifier, kind, media, made, prompt, steps, random)


def _row(
    identifier: str, kind: str, media: dict[str, Any], made: Prompt, prompt: str, steps: tuple[str, str], random: Random
) -> dict[str, Any]:
    answer: Answer | None = None
    if random.random() < 0.25:
        answer = random.choice([comply, refuse] if made.code else [help_out, help_out, refuse])(made, random)
    more = () if answer is None else response_steps(_short(answer.evidence), answer.code, answer.kind)
    prompt_label = "harmful" if made.code else "unharmful"
    response_label = None if answer is None else "harmful" if answer.code else "unharmful"
    return {
        "id": identifier,
        "kind": kind,
        "prompt": prompt,
        "response": answer.text if answer else None,
        "prompt_label": prompt_label,
        "response_label": response_label,
        "categories": [made.code] if made.code else [],
        "topic": made.topic.name,
        "media": media,
        "completion": completion((*steps, *more), prompt=prompt_label, response=response_label),
    }


def _media(kind: str, random: Random, scattered: bool, *, text: str = "", thing: str = "") -> dict[str, Any]:
    """Describe what to draw in plain values, so that a row can be stored as JSON and redrawn. Times are in seconds."""
    style = random.choice(["upper", "upper", "upper", "upper", "plain", "list"])
    look = {
        "seed": random.getrandbits(32),
        "style": style,
        "title": random.choice(TITLES) if style == "list" or random.random() < 0.15 else "",
    }
    if kind == "image":
        size = random.choice(IMAGE_SIDES)
        if not scattered:
            look, size = _on_grid(look), (128, grid_height(text, _on_grid(look)) if text else 128)
        return {"text": text, "object": thing, "look": look, "size": list(size)}
    look |= {"style": "upper" if style == "list" else style, "title": ""}
    seconds = random.randint(3, 6)
    start = random.randint(0, seconds - 2)
    size = random.choice(CLIP_SIDES)
    if not scattered:
        look, size = _on_grid(look), (128, 128)
    return {
        "text": text,
        "object": thing,
        "look": look,
        "size": list(size),
        "seconds": seconds,
        "from_s": start,
        "to_s": min(seconds, start + random.randint(2, 3)),
    }


def _on_grid(look: dict[str, Any]) -> dict[str, Any]:
    return look | {"grid": True, "style": "list" if look["style"] == "list" else "upper"}


def _seen(media: dict[str, Any], what: str) -> str:
    if "seconds" in media:
        return f"From second {media['from_s']} the video {what}"
    return f"The image {what}"


def _short(text: str) -> str:
    return quote(text, (0, QUOTE_WORDS))
