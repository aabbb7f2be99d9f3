"""A conversation too long for the guard: the oldest messages are left out, as few as possible, and people are told."""

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from PIL import Image
from pytest_django import Settings

from annotation.models import Item
from annotation.moderation.guard_wire import GuardAnswer
from annotation.predictions.predict import predict_pending
from annotation.predictions.windows import decisive_part
from annotation.status import ItemStatus
from guardapp.guard.engines.hf.hf_engine import HfEngine
from guardapp.guard.judging import Judged
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import ContextMessage, Decoding, Frame, Sample, SeenMedia, Window
from guardapp.guard.windows import WindowedEngine, Windowing, reading_windows, why_too_long
from tests.factories import make_item, make_user, production

CONTEXT, NEW_TOKENS = 768, 64
LIMIT = CONTEXT - NEW_TOKENS
WINDOWING = Windowing(most=4, overlap=32)
LINE = "We spoke of bread, of flour and of water, and of how warm the oven should be. "


@pytest.fixture
def small(starter: HfEngine, monkeypatch: pytest.MonkeyPatch) -> HfEngine:
    """The starter guard with a short context."""
    monkeypatch.setattr(starter, "context", CONTEXT)
    return starter


def talk(messages: int, *, prompt: str = "And the salt?", media: tuple[SeenMedia, ...] = ()) -> Sample:
    roles = ("user", "assistant")
    context = tuple(ContextMessage(roles[n % 2], f"{n}. {LINE}", int(n < len(media))) for n in range(messages))
    return Sample("a", prompt, "A pinch.", media, context=context)


def windows(engine: HfEngine, sample: Sample) -> tuple[Window, ...]:
    return WindowedEngine(engine, WINDOWING).windows(sample, NEW_TOKENS)


def test_as_few_of_the_oldest_messages_as_possible_are_left_out(small: HfEngine) -> None:
    sample = talk(80)
    [window] = windows(small, sample)
    left = window.left_out
    assert 0 < left < 80
    read = window.of(sample)
    assert (read.prompt, read.response, read.context) == (sample.prompt, sample.response, sample.context[left:])
    assert small.prompt_tokens(read) <= LIMIT < small.prompt_tokens(sample.without_oldest(left - 1))


def test_a_conversation_that_fits_and_one_with_room_for_windows_keep_every_message(small: HfEngine) -> None:
    assert windows(small, talk(4)) == ()
    found = windows(small, talk(4, prompt=LINE * 60))
    assert len(found) > 1 and {window.left_out for window in found} == {0}


def test_a_long_exchange_after_a_long_conversation_is_judged_in_windows_without_the_oldest(small: HfEngine) -> None:
    sample = talk(80, prompt=LINE * 25)
    found = windows(small, sample)
    assert len(found) > 1 and len({window.left_out for window in found}) == 1 and found[0].left_out > 0
    assert found[0].prompt[0] == 0 and found[-1].prompt[1] == len(sample.prompt)
    assert all(small.prompt_tokens(window.of(sample)) <= LIMIT for window in found)


def test_pictures_of_messages_left_out_go_with_them(small: HfEngine, tmp_path: Path) -> None:
    for colour in ("red", "blue", "green"):
        Image.new("RGB", (64, 64), colour).save(tmp_path / f"{colour}.png")
    red, blue, green = (
        SeenMedia(MediaKind.IMAGE, (Frame(tmp_path / f"{colour}.png"),)) for colour in ("red", "blue", "green")
    )
    sample = talk(80, media=(red, blue))
    [window] = windows(small, Sample("a", "b", None, (*sample.media, green), context=sample.context))
    assert window.left_out > 2
    assert window.of(Sample("a", "b", None, (*sample.media, green), context=sample.context)).media == (green,)
    assert sample.without_oldest(1).media == (blue,)


def test_an_exchange_that_is_too_long_by_itself_is_refused_with_all_its_tokens(small: HfEngine) -> None:
    sample = talk(80, prompt=LINE * 2_000)
    error = why_too_long(reading_windows(small, WINDOWING), sample, NEW_TOKENS)
    assert error is not None and error.tokens == small.prompt_tokens(sample)
    assert why_too_long(reading_windows(small, Windowing(most=1)), talk(80), NEW_TOKENS) is not None


def test_the_guards_process_tells_how_many_were_left_out(small: HfEngine) -> None:
    engine = reading_windows(small, WINDOWING)
    rollout = engine.generate([talk(80)], Decoding(max_new_tokens=NEW_TOKENS))[0][0]
    [(window, _)] = rollout.parts
    again = GuardAnswer.of(GuardAnswer(Judged(rollout), "v").as_json()).judged.greedy
    assert again.parts[0][0] == window and window.left_out > 0


@pytest.mark.django_db
def test_the_prediction_and_the_page_say_how_many_were_left_out(
    small: HfEngine, settings: Settings, client: Client
) -> None:
    settings.MAX_NEW_TOKENS, settings.AUDIT_SHARE, settings.ROLLOUTS = NEW_TOKENS, 0.0, 0
    sample = talk(80)
    messages = [{"role": message.role, "text": message.text} for message in sample.context]
    item = make_item(
        status=ItemStatus.PENDING, predicted=False, prompt=sample.prompt, response=sample.response, messages=messages
    )
    for _ in range(2):  # a long one is put apart first
        predict_pending(engine=small, version=production(), limit=1)
    item = Item.objects.select_related("prediction").get(pk=item.pk)
    assert item.status == ItemStatus.READY and item.prediction is not None
    [row] = item.prediction.windows or []
    left = row["left_out"]
    assert decisive_part(item.prediction, sample) == sample.without_oldest(left)
    client.force_login(make_user())
    for page in (reverse("review", args=["default"]), reverse("item", args=[item.pk])):
        shown = client.get(page).content.decode()
        assert f"it was not given the first {left} of them" in shown
        assert shown.count("not given to the guard") == left
        assert "Read in" not in shown and "data-show-decisive" not in shown
