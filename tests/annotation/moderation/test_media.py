"""Moderation of pictures and clips in the formats that items may have."""

import base64
import io
from pathlib import Path

import pytest
from PIL import Image
from rest_framework.test import APIClient

from annotation.models import Item
from annotation.moderation.moderate import SOURCE
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Sample
from tests.annotation.conftest import Serve
from tests.annotation.moderation.test_moderate import moderated, scripted
from tests.annotation.scripted_engine import UNHARMFUL, ScriptedEngine
from tests.guard.media.animations_made import PALETTE, Piece, coloured, gif
from tests.guard.media.heif_made import heic
from tests.guard.media.samples import make_video, quarters

pytestmark = pytest.mark.django_db(transaction=True)


def data_url(content: bytes) -> str:
    return f"data:application/octet-stream;base64,{base64.b64encode(content).decode()}"


def pages(count: int) -> bytes:
    buffer = io.BytesIO()
    rest = [Image.new("RGB", (64, 64))] * (count - 1)
    quarters(64, 64).save(buffer, "TIFF", save_all=True, append_images=rest)
    return buffer.getvalue()


def test_each_format_is_given_to_the_guard_with_all_its_frames(caller: APIClient, serve: Serve, tmp_path: Path) -> None:
    asked: dict[str, Sample] = {}

    def says(sample: Sample, draw: int) -> str:
        asked[sample.id] = sample
        return UNHARMFUL

    serve(ScriptedEngine(says, score=0.01))
    animation = gif((64, 48), [Piece(coloured((64, 48), colour), delay_ms=500) for colour in PALETTE[:3]])
    clip = make_video(tmp_path / "a.ts", codec="mpeg2video", frames=20).read_bytes()
    contents = [{"media": [data_url(content)]} for content in (animation, clip, heic(quarters(64, 64)))]
    found = moderated(caller, *contents)
    assert [one["action"] for one in found["results"]] == ["allow"] * 3
    shown = sorted((one.media[0].kind, len(one.media[0].frames)) for one in asked.values())
    assert shown == [(MediaKind.IMAGE, 1), (MediaKind.VIDEO, 3), (MediaKind.VIDEO, 4)]


def test_a_picture_by_openai_s_shape_may_be_animated(caller: APIClient, serve: Serve) -> None:
    serve(scripted())
    animation = gif((64, 48), [Piece(coloured((64, 48), colour), delay_ms=500) for colour in PALETTE[:3]])
    part = {"type": "image_url", "image_url": {"url": data_url(animation)}}
    answer = caller.post("/v1/moderations", {"input": [part]}, format="json")
    assert answer.status_code == 200 and answer.json()["results"][0]["flagged"]


@pytest.mark.parametrize(("content", "action"), [(pages(1), "allow"), (pages(3), "review")], ids=["one page", "three"])
def test_pages_that_the_guard_does_not_see_are_for_people(
    caller: APIClient, serve: Serve, content: bytes, action: str
) -> None:
    serve(scripted(score=0.01, words=UNHARMFUL))
    [result] = moderated(caller, {"media": [data_url(content)]})["results"]
    assert result["action"] == action
    items = list(Item.objects.filter(source=SOURCE))
    assert len(items) == (action == "review")
    if items:
        assert "did not see 2 further pages" in items[0].reason["text"]
