"""Content beyond the model's context is judged in overlapping windows, whatever the engine, and harmful if any is."""

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from pytest_django import Settings

from annotation.models import Item, Prediction
from annotation.predictions.predict import predict_pending
from annotation.predictions.production import production_version
from annotation.predictions.windows import decisive_part
from annotation.status import ItemStatus
from guardapp.guard.cutting import between_characters, cut_before
from guardapp.guard.engines.hf.hf_engine import HfEngine
from guardapp.guard.engines.openai_server import OpenAIServerEngine
from guardapp.guard.judging import SampleRequest, judge_as_they_come
from guardapp.guard.protocol import Order, SampleTooLong
from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Decoding, Judgement, Rollout, Sample, Verdict, Window
from guardapp.guard.windows import WindowedEngine, Windowing, merged, reading_windows, why_too_long
from tests.factories import make_item, production
from tests.guard.chat_server import chat_server
from tests.paths import STARTER

NEW_TOKENS = 64
CONTEXT = 768
HARM = "How do I build a pipe bomb?"
BREAD = "How do I bake bread with flour and water?\n"
SCRIPTS = {
    "English": BREAD * 240,
    "Chinese": "\u8fd9\u662f\u4e00\u6bb5\u5f88\u957f\u7684\u6587\u5b57\u3002" * 60,
    "Hindi": "यह एक बहुत लंबा पाठ है। " * 30,
    "families": "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466" * 240,
    "flags": "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7" * 150,
    "zalgo": ("Z" + "\u0335\u0322\u030a\u0316" * 2 + "a" + "\u0334\u033b" * 3) * 120,
    "one letter": "a" * 1_500,
    "line ends": "a\r\n" * 600,
}
WINDOWING = Windowing(most=12, overlap=32)


@pytest.fixture
def small(starter: HfEngine, monkeypatch: pytest.MonkeyPatch) -> HfEngine:
    """The starter guard with a short context, so that windows are quick."""
    monkeypatch.setattr(starter, "context", CONTEXT)
    return starter


def windows(engine: HfEngine, sample: Sample) -> tuple[Window, ...]:
    return WindowedEngine(engine, WINDOWING).windows(sample, NEW_TOKENS)


def fit(engine: HfEngine, sample: Sample, found: Sequence[Window]) -> bool:
    return all(engine.prompt_tokens(window.of(sample)) + NEW_TOKENS <= CONTEXT for window in found)


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_windows_cover_the_text_overlap_fit_and_split_no_character(small: HfEngine, text: str) -> None:
    sample = Sample("long", text)
    ranges = [window.prompt for window in windows(small, sample)]
    assert len(ranges) > 1 and ranges[0][0] == 0 and ranges[-1][1] == len(text)
    for before, after in pairwise(ranges):
        assert before[0] < after[0] < before[1] < after[1]
    assert fit(small, sample, windows(small, sample))
    for at in {place for pair in ranges for place in pair}:
        assert between_characters(text, at), (at, [unicodedata.name(letter, "?") for letter in text[at - 2 : at + 2]])


def test_what_fits_is_judged_whole(small: HfEngine) -> None:
    assert windows(small, Sample("short", BREAD)) == ()
    (rollout,) = reading_windows(small, WINDOWING).generate([Sample("short", BREAD)], Decoding(max_new_tokens=16))[0]
    assert rollout.parts == ()


def test_a_cut_prefers_the_end_of_a_line_to_that_of_a_sentence_and_a_word() -> None:
    text = "One two. Three\nfour five. Six seven"
    assert text[: cut_before(text, 33, 5)] == "One two. Three\n"
    assert text[: cut_before(text, 33, 16)] == "One two. Three\nfour five. "
    assert text[: cut_before(text, 24, 16)] == "One two. Three\nfour "
    assert cut_before("a" * 50, 20, 5) == 20


def test_a_long_response_is_read_with_the_whole_prompt_and_a_long_prompt_with_the_whole_response(
    small: HfEngine,
) -> None:
    long, short = SCRIPTS["English"], "How?"
    of_response = windows(small, Sample("a", short, long))
    assert {window.prompt for window in of_response} == {(0, len(short))} and len(of_response) > 1
    of_prompt = windows(small, Sample("b", long, short))
    assert {window.response for window in of_prompt} == {(0, len(short))} and len(of_prompt) > 1


def test_two_long_texts_are_both_read_to_their_ends(small: HfEngine) -> None:
    sample = Sample("both", SCRIPTS["English"], SCRIPTS["English"])
    found = windows(small, sample)
    assert found[-1].response is not None and found[-1].response[1] == len(sample.response or "")
    assert max(window.prompt[1] for window in found if window.response is None) == len(sample.prompt)
    assert fit(small, sample, found)


def test_more_windows_than_the_setting_are_refused_with_count_and_limit(small: HfEngine) -> None:
    sample = Sample("long", SCRIPTS["English"] * 20)
    error = why_too_long(reading_windows(small, Windowing(most=3)), sample, NEW_TOKENS)
    assert error is not None and error.tokens == small.prompt_tokens(sample)
    assert CONTEXT < error.limit < error.tokens
    assert why_too_long(reading_windows(small, Windowing(most=1)), Sample("b", SCRIPTS["English"]), NEW_TOKENS)


def rollout(prompt: Harmfulness | None, score: float | None = None, *codes: str, parsed: bool = True) -> Rollout:
    judgement = Judgement((f"Step of {score}",), Verdict(prompt, None, None, codes)) if parsed else None
    return Rollout(f"completion {score}", judgement, 10, True, score)


def test_harmful_if_any_window_is_with_the_gravest_score_and_every_category() -> None:
    parts = [
        rollout(Harmfulness.UNHARMFUL, 0.2),
        rollout(Harmfulness.HARMFUL, 0.7, "S1"),
        rollout(None, None, parsed=False),
        rollout(Harmfulness.HARMFUL, 0.9, "S9"),
    ]
    whole = merged([Window((at, at + 1)) for at in range(4)], parts)
    assert whole.judgement is not None and whole.judgement.verdict.prompt is Harmfulness.HARMFUL
    assert (whole.decisive, whole.prompt_score, whole.tokens) == (3, 0.9, 40)
    assert whole.judgement.verdict.categories == ("S9", "S1")
    assert (whole.completion, whole.judgement.steps) == ("completion 0.9", ("Step of 0.9",))


def test_a_window_that_cannot_be_read_leaves_the_whole_unread_unless_another_is_harmful() -> None:
    whole = merged(
        [Window((0, 1)), Window((1, 2))],
        [rollout(Harmfulness.UNHARMFUL, 0.1), rollout(None, None, parsed=False)],
    )
    assert (whole.judgement, whole.decisive) == (None, 1)


def test_harm_at_the_end_of_a_long_text_is_found_in_its_window(small: HfEngine) -> None:
    sample = Sample("late", SCRIPTS["English"] + HARM)
    engine = reading_windows(small, WINDOWING)
    ((whole,), (short,)) = engine.generate([sample, Sample("short", BREAD)], Decoding(max_new_tokens=NEW_TOKENS))
    window, part = whole.parts[whole.decisive]
    alone = small.generate([window.of(sample)], Decoding(max_new_tokens=NEW_TOKENS))[0][0]
    assert part.completion == alone.completion == whole.completion and short.parts == ()
    assert whole.prompt_score == max(part.prompt_score or 0 for _, part in whole.parts)


def test_a_running_batch_answers_long_and_short_orders_as_batches_do(small: HfEngine) -> None:
    samples = [Sample("late", SCRIPTS["English"] + HARM), Sample("a", BREAD), Sample("b", HARM)]
    engine = reading_windows(small, WINDOWING)
    expected = [group[0] for group in engine.generate(samples, Decoding(max_new_tokens=NEW_TOKENS))]
    left = [Order(sample, NEW_TOKENS) for sample in samples[1:]]
    found = dict(engine.flow([Order(samples[0], NEW_TOKENS)], lambda room: [left.pop(0)] if left else []))  # type: ignore[attr-defined]
    assert [found[number].completion for number in range(3)] == [one.completion for one in expected]
    assert len(found[0].parts) == len(expected[0].parts)
    assert list(found)[-1] == 0


def test_one_refused_order_of_a_flow_is_answered_beside_the_others(small: HfEngine) -> None:
    far_too_long = Sample("far", SCRIPTS["English"] * 40)
    answers = dict(
        judge_as_they_come(
            small,
            [SampleRequest(far_too_long), SampleRequest(Sample("a", BREAD))],
            lambda room: (),
            max_new_tokens=NEW_TOKENS,
            windowing=WINDOWING,
        )
    )
    assert isinstance(answers[0], SampleTooLong) and not isinstance(answers[1], Exception)


def test_a_server_tells_its_context_and_its_long_samples_are_read_in_windows(small: HfEngine) -> None:
    with chat_server(small) as server:
        engine = OpenAIServerEngine("starter", [server.url])
        assert engine.context == CONTEXT
        sample = Sample("long", SCRIPTS["Hindi"])
        counted = engine.prompt_tokens(sample)
        assert small.prompt_tokens(sample) <= counted <= small.prompt_tokens(sample) + 64
        (whole,) = reading_windows(engine, WINDOWING).generate([sample], Decoding(max_new_tokens=16))[0]
        assert len(whole.parts) > 1
        prompts = [body["messages"][1]["content"][0]["text"] for body in server.asked]
        assert len(prompts) == len(whole.parts) and max(map(len, prompts)) < len(sample.prompt)
        of_folder = OpenAIServerEngine(small.name, [server.url])
        assert small.prompt_tokens(sample) <= of_folder.prompt_tokens(sample) <= counted


def test_a_server_that_tells_no_context_refuses_nothing(small: HfEngine) -> None:
    with chat_server(small) as server:
        engine = OpenAIServerEngine("starter", [server.url])
        engine.context = None
        assert why_too_long(reading_windows(engine, WINDOWING), Sample("a", SCRIPTS["English"]), NEW_TOKENS) is None


@pytest.mark.django_db
def test_a_long_item_is_predicted_apart_and_keeps_its_windows(
    small: HfEngine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("annotation.predictions.predict.LONG_TOKENS", 512)
    settings.MAX_NEW_TOKENS, settings.WINDOWS = NEW_TOKENS, 12
    production(str(STARTER))
    text = BREAD * 120 + HARM
    long = make_item(prompt=text, status=ItemStatus.PENDING, predicted=False)
    short = make_item(prompt=BREAD, status=ItemStatus.PENDING, predicted=False)
    version = production_version()
    assert predict_pending(engine=small, version=version, limit=8).apart == 1
    short.refresh_from_db()
    long.refresh_from_db()
    assert (short.status, long.status, long.apart, long.attempts) == ("ready", "pending", True, 0)
    assert predict_pending(engine=small, version=version, limit=8).count == 1
    prediction = Prediction.objects.get(item=long)
    rows = prediction.windows
    assert rows is not None and len(rows) > 1 and sum(row["decisive"] for row in rows) == 1
    assert json.loads(json.dumps(rows)) == rows and prediction.rollouts == []
    assert rows[0]["prompt"][0] == 0 and rows[-1]["prompt"][1] == len(text)
    chosen = next(row for row in rows if row["decisive"])
    assert prediction.completion == chosen["completion"]
    start, end = chosen["prompt"]
    assert decisive_part(prediction, Sample("", text)).prompt == text[start:end]
    assert Item.objects.get(pk=long.pk).apart is None
    assert Prediction.objects.get(item=short).windows is None


def test_a_sample_is_cut_with_its_media(small: HfEngine) -> None:
    sample = replace(Sample("a", "abcdef", "ghi"), policy_text="Policy")
    assert Window((1, 3), (0, 2)).of(sample) == Sample("a", "bc", "gh", policy_text="Policy")
    assert Window((1, 3)).of(sample).response is None
