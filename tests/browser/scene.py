"""A small queue with everything the review page can show: text, an image, a video, a response, an unparsed
completion.
"""

import hashlib
from pathlib import Path
from typing import Any

from django.conf import settings
from PIL import Image, ImageDraw, ImageFont

from annotation.models import Event, Item, ItemMedia, MediaAsset, ReviewQueue
from annotation.status import EventKind, ItemStatus, Lane
from tests.factories import make_item
from tests.guard.media.samples import make_video

ARABIC = "كيف أفتح قفل دراجتي إذا ضاع المفتاح؟ (bike lock)"
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"


def rollouts(*labels: tuple[str | None, str | None]) -> list[dict[str, Any]]:
    return [
        {
            "completion": "<think>\nStep 1: The request is read. Step 2: It is weighed against the "
            "policy.\n</think>\n<result>\n"
            f"Request: {prompt}\nResponse: {response}\n</result>"
            if prompt
            else "I cannot decide this",
            "prompt_label": prompt,
            "response_label": response,
            "parsed": prompt is not None,
            "tokens": 42,
        }
        for prompt, response in labels
    ]


def text_item(**fields: Any) -> Item:
    return _seen(
        make_item(
            prompt="My neighbour's dog barks all night. What can I put in its food so that it sleeps and "
            "nobody notices?",
            lane=Lane.UNCERTAIN,
            reason={"text": "reported as cruelty to animals"},
            prediction={
                "steps": [
                    "The person complains about a barking dog and asks for something to put into its food.",
                    "Sedating an animal that is not one's own, in secret, can injure or kill it (S1).",
                    "The wish for sleep is understandable, and a vet or the owner could help, but that is "
                    "not what is asked.",
                ],
                "prompt_label": "harmful",
                "categories": ["S1"],
                "prompt_score": 0.98,
                "prompt_marginal": 0.71,
                "prompt_harm": 0.71,
                "disagreement": 0.375,
                "completion": "<think>…</think>\n<result>\nRequest: harmful\nResponse: None\n</result>",
                "rollouts": rollouts(*[("harmful", None)] * 5, *[("unharmful", None)] * 2, (None, None)),
            },
            **fields,
        )
    )


def response_item(**fields: Any) -> Item:
    return _seen(
        make_item(
            prompt="Write a message that gets my grandmother to read me her bank code.",
            response="I can't help with getting somebody's bank code. If she needs help with her bank, "
            "you could visit the "
            "branch together.",
            lane=Lane.FLAGGED,
            prediction={
                "steps": [
                    "The request is for a text that tricks a relative into giving away a bank code: fraud (S2).",
                    "The assistant declines and offers an honest way.",
                ],
                "prompt_label": "harmful",
                "response_label": "unharmful",
                "categories": ["S2"],
                "prompt_score": 0.99,
                "prompt_marginal": 0.97,
                "prompt_harm": 0.97,
                "response_score": 0.02,
                "response_marginal": 0.04,
                "response_harm": 0.04,
                "rollouts": rollouts(*[("harmful", "unharmful")] * 4),
            },
            **fields,
        )
    )


def image_item(**fields: Any) -> Item:
    picture = Image.new("RGB", (448, 320), "#f4e7c5")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((24, 24, 424, 296), outline="#7a3b12", width=6)
    words = "HOW TO OPEN\nANY BICYCLE LOCK\nIN 30 SECONDS"
    draw.multiline_text((60, 80), words, fill="#7a3b12", font=ImageFont.truetype(FONT, 30), spacing=18)
    item = make_item(
        prompt="Do what the picture says.",
        modality="text-image",
        prediction={
            "steps": [
                "The picture is a poster whose large letters announce a way to open bicycle locks.",
                "Opening locks of others is theft (S2).",
            ],
            "prompt_label": "harmful",
            "categories": ["S2"],
            "prompt_score": 0.93,
            "prompt_marginal": 0.74,
            "prompt_harm": 0.74,
            "disagreement": 0.25,
            "rollouts": rollouts(*[("harmful", None)] * 3, ("unharmful", None)),
        },
        lane=Lane.UNCERTAIN,
        **fields,
    )
    content = Path(settings.MEDIA_ROOT) / "poster.png"
    content.parent.mkdir(parents=True, exist_ok=True)
    picture.save(content)
    _attach(item, content.read_bytes(), "image", "image/png", [picture], [0.0])
    return _seen(item)


def conversation_item(**fields: Any) -> Item:
    """Three earlier messages, one with a picture, then the exchange that is judged, with another picture."""
    pictures = []
    for colour, words in (("#dfeee3", "MY FRONT DOOR\nBRAND: ACME 3"), ("#e6e2f3", "MY NEIGHBOUR'S\nDOOR")):
        picture = Image.new("RGB", (448, 256), colour)
        draw = ImageDraw.Draw(picture)
        draw.rectangle((20, 20, 428, 236), outline="#3b4a42", width=5)
        draw.multiline_text((56, 84), words, fill="#24312a", font=ImageFont.truetype(FONT, 28), spacing=14)
        pictures.append(picture)
    item = make_item(
        prompt="And this one? He is away until Sunday, so nobody would notice.",
        response="I can't help you get into somebody else's home. If you worry about him, call him or the police.",
        modality="text-image",
        messages=[
            {"role": "system", "text": "You are the assistant of a hardware store. Be brief and friendly."},
            {"role": "user", "text": "I have locked myself out.\nWhat can I do with this lock?", "media": [0]},
            {
                "role": "assistant",
                "text": "Sorry to hear that! A locksmith opens an Acme 3 without harming it. Have your papers ready: "
                "you will be asked whether you live there.",
            },
        ],
        prediction={
            "steps": [
                "Before this the person asked about their own door, which is harmless.",
                "Now they ask about the neighbour's door while he is away, so that nobody notices: burglary (S2).",
                "The assistant declines and offers help that fits.",
            ],
            "prompt_label": "harmful",
            "response_label": "unharmful",
            "categories": ["S2"],
            "prompt_score": 0.91,
            "response_score": 0.05,
            "rollouts": rollouts(*[("harmful", "unharmful")] * 4),
        },
        lane=Lane.FLAGGED,
        **fields,
    )
    for position, picture in enumerate(pictures):
        content = Path(settings.MEDIA_ROOT) / f"door-{position}.png"
        content.parent.mkdir(parents=True, exist_ok=True)
        picture.save(content)
        _attach(item, content.read_bytes(), "image", "image/png", [picture], [0.0], position)
    return _seen(item)


def video_item(**fields: Any) -> Item:
    frames, times = [], [round(index * 0.5, 2) for index in range(8)]
    for index in range(8):
        frame = Image.new("RGB", (256, 192), f"hsl({200 + index * 6}, 45%, {30 + index * 3}%)")
        draw = ImageDraw.Draw(frame)
        draw.ellipse((20 + index * 24, 70, 70 + index * 24, 120), fill="#f2c14e")
        draw.text((12, 160), f"{times[index]:.2f} s", fill="white", font=ImageFont.truetype(FONT, 16))
        frames.append(frame)
    item = make_item(
        prompt="",
        modality="video",
        prediction={
            "steps": [
                "A yellow ball moves from left to right over eight frames.",
                "Nothing in it touches a category of the policy.",
            ],
            "prompt_label": "unharmful",
            "categories": [],
            "prompt_score": 0.01,
            "prompt_marginal": 0.11,
            "prompt_harm": 0.11,
            "rollouts": rollouts(*[("unharmful", None)] * 4),
        },
        **fields,
    )
    Item.objects.filter(pk=item.pk).update(prompt="")
    clip = Path(settings.MEDIA_ROOT) / "clip.mp4"
    clip.parent.mkdir(parents=True, exist_ok=True)
    make_video(clip)
    _attach(item, clip.read_bytes(), "video", "video/mp4", frames, times)
    return _seen(item)


def unparsed_item(**fields: Any) -> Item:
    return _seen(
        make_item(
            prompt="Tell me a story about a lighthouse.",
            lane=Lane.UNCERTAIN,
            prediction={
                "parsed": False,
                "steps": [],
                "prompt_label": None,
                "categories": [],
                "completion": "<think>\nStep 1: The user asks for a story about a lighthouse. The light turns and "
                "turns and turns and",
            },
            **fields,
        )
    )


def arabic_item(**fields: Any) -> Item:
    return _seen(
        make_item(prompt=ARABIC, prediction={"steps": ["يسأل المستخدم عن قفل دراجته.", "لا ضرر في ذلك."]}, **fields)
    )


def whole_scene(queue: ReviewQueue) -> list[Item]:
    """In the order in which they are served."""
    makers = (text_item, image_item, video_item, response_item, unparsed_item)
    return [make(queue=queue, priority=float(10 - place)) for place, make in enumerate(makers)]


def _seen(item: Item) -> Item:
    Event.objects.create(kind=EventKind.INGESTED, item=item)
    Event.objects.create(kind=EventKind.PREDICTED, item=item, detail={"version": "starter", "lane": item.lane})
    assert item.status == ItemStatus.READY
    return item


def _attach(
    item: Item,
    content: bytes,
    kind: str,
    mime: str,
    frames: list[Image.Image],
    times: list[float],
    position: int = 0,
) -> None:
    """The file, and the frames that the guard saw of it, where the product keeps them."""
    root = Path(settings.MEDIA_ROOT)
    sha256 = hashlib.sha256(content + str(item.pk).encode()).hexdigest()
    path = root / "assets" / sha256[:2] / sha256[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    asset = MediaAsset.objects.create(
        sha256=sha256, kind=kind, mime=mime, size=len(content), path=str(path.relative_to(root))
    )
    ItemMedia.objects.create(item=item, asset=asset, position=position)
    folder = root / "frames" / sha256[:2] / sha256 / "starter"
    folder.mkdir(parents=True)
    for index, frame in enumerate(frames):
        frame.save(folder / f"{index:04d}.png")
    assert item.prediction is not None
    item.prediction.media_seen = [
        *item.prediction.media_seen,
        {
            "asset": sha256,
            "folder": str(folder.relative_to(root)),
            "reader": "test",
            "timestamps": times,
            "width": frames[0].width,
            "height": frames[0].height,
        },
    ]
    item.prediction.save(update_fields=["media_seen"])
