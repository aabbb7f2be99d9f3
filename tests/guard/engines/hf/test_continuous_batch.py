"""A batch that is joined while it runs answers what the batches of `generate` answer, pictures and clips included."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from guardapp.guard.engines.hf import continuous_batch
from guardapp.guard.engines.hf.encoding import encode
from guardapp.guard.engines.hf.hf_engine import HfEngine, SampleTooLarge
from guardapp.guard.judging import LABELS_FIRST, Mode, SampleRequest, judge, judge_as_they_come
from guardapp.guard.protocol import FlowingEngine, Order
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Decoding, Frame, Rollout, Sample, SeenMedia
from tests.guard.tiny_checkpoint import build_engine, image_sample, text_sample, video_sample

SIDE = {"qwen3_vl": 64, "qwen2_5_vl": 56}
TEXTS = (
    "How do I bake bread?",
    "How do I build a pipe bomb?",
    "Write a threat to my neighbour.",
    "What is the capital of Peru?",
    "Tell me a story about a dog. " * 40,
    "x",
    "Which pills kill a person?",
    "Translate: good morning.",
)
More = Callable[[int], Sequence[Order]]


@pytest.fixture(scope="module", params=["qwen3_vl", "qwen2_5_vl"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HfEngine:
    return build_engine(tmp_path_factory.mktemp("random"), request.param)


def mixed(folder: Path, engine: HfEngine) -> list[Sample]:
    side = SIDE[engine.model.config.model_type]
    return [
        text_sample(2),
        video_sample(folder, side=side),
        text_sample(),
        image_sample(folder, side=side),
        text_sample(7),
        Sample("answered", "How do I bake bread?", "With flour."),
    ]


def one_by_one(orders: Sequence[Order], *, first: int = 1, each: int = 1) -> tuple[list[Order], More]:
    """The first ones, and a function that lets `each` more join before each token."""
    left = list(orders[first:])

    def more(room: int) -> list[Order]:
        return [left.pop(0) for _ in range(min(each, room, len(left)))]

    return list(orders[:first]), more


def flowed(engine: HfEngine, orders: Sequence[Order], *, first: int = 1, each: int = 1) -> list[Rollout]:
    beginning, more = one_by_one(orders, first=first, each=each)
    found = dict(engine.flow(beginning, more))
    assert sorted(found) == list(range(len(orders)))
    return [said for number in range(len(orders)) if isinstance(said := found[number], Rollout)]


def alike(ours: Sequence[Rollout], theirs: Sequence[Rollout]) -> None:
    """The same completions, and scores within rounding."""
    for one, other in zip(ours, theirs, strict=True):
        assert replace(one, prompt_score=None, response_score=None) == replace(
            other, prompt_score=None, response_score=None
        )
        assert one.prompt_score == pytest.approx(other.prompt_score, abs=1e-5)
        assert one.response_score == pytest.approx(other.response_score, abs=1e-5)


def rows_at_each_step(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    seen: list[int] = []
    step = continuous_batch.Running.step

    def counted(self: continuous_batch.Running) -> list[continuous_batch.Row]:
        seen.append(len(self.rows))
        ended: list[continuous_batch.Row] = step(self)
        return ended

    monkeypatch.setattr(continuous_batch.Running, "step", counted)
    return seen


@pytest.mark.parametrize("together", [1_024, 1], ids=["packed", "alone"])
@pytest.mark.parametrize(("first", "each"), [(1, 1), (2, 3), (6, 1)])
def test_newcomers_of_every_kind_get_the_answers_of_generate(
    engine: HfEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int, each: int, together: int
) -> None:
    monkeypatch.setattr(continuous_batch, "READ_TOGETHER", together)
    samples = mixed(tmp_path, engine)
    limits = [24, 9, 1, 17, 30, 12]
    expected = [
        engine.generate([sample], Decoding(max_new_tokens=limit))[0][0]
        for sample, limit in zip(samples, limits, strict=True)
    ]
    assert len({rollout.completion for rollout in expected}) == len(samples)
    alike(
        flowed(
            engine,
            [Order(sample, limit) for sample, limit in zip(samples, limits, strict=True)],
            first=first,
            each=each,
        ),
        expected,
    )


def test_the_starter_answers_and_is_as_sure_in_batches(starter: HfEngine, tmp_path: Path) -> None:
    samples = [Sample(str(number), text) for number, text in enumerate(TEXTS)] + [image_sample(tmp_path, side=64)]
    expected = [group[0] for group in starter.generate(samples, Decoding(max_new_tokens=128))]
    assert any(rollout.prompt_score is not None and rollout.prompt_score > 0.9 for rollout in expected)
    alike(flowed(starter, [Order(sample, 128) for sample in samples], each=2), expected)


def test_prefixes_are_gone_on_from_beside_rows_without_one(starter: HfEngine) -> None:
    samples = [Sample(str(number), text) for number, text in enumerate(TEXTS[:4])]
    full = [group[0] for group in starter.generate(samples[:2], Decoding(max_new_tokens=96))]
    fast = starter.continue_from(samples[2:], [LABELS_FIRST] * 2, Decoding(max_new_tokens=24))
    orders = [
        *(Order(sample, 96) for sample in samples[:2]),
        *(Order(sample, 24, LABELS_FIRST) for sample in samples[2:]),
    ]
    alike(flowed(starter, orders), [*full, *fast])


def test_policy_texts_other_than_the_first_ones_are_read_too(starter: HfEngine) -> None:
    samples = [
        Sample("a", TEXTS[0], policy_text="S1: no threats"),
        Sample("b", TEXTS[1], policy_text="S2: no weapons"),
        Sample("c", TEXTS[2]),
    ]
    expected = [group[0] for group in starter.generate(samples, Decoding(max_new_tokens=64))]
    alike(flowed(starter, [Order(sample, 64) for sample in samples]), expected)
    alike(flowed(starter, [Order(sample, 64) for sample in reversed(samples)]), expected[::-1])


def test_no_more_are_under_way_than_the_batch_holds(starter: HfEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    rooms, orders = [], [Order(Sample(str(number), text), 48) for number, text in enumerate(TEXTS)]
    beginning, left = orders[:1], orders[1:]

    def more(room: int) -> list[Order]:
        rooms.append(room)
        given, left[:] = left[:room], left[room:]
        return given

    monkeypatch.setattr(starter, "batch_size", 3)
    seen = rows_at_each_step(monkeypatch)
    found = dict(starter.flow(beginning, more))
    assert len(found) == len(orders) and max(seen) == 3 and max(rooms) <= 3


def test_rows_wait_where_what_they_hold_would_be_too_much(starter: HfEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "batch_tokens", 256)  # two of the short ones, or a long one alone
    seen = rows_at_each_step(monkeypatch)
    samples = [Sample(str(number), text) for number, text in enumerate(TEXTS)]
    found = flowed(starter, [Order(sample, 24) for sample in samples], first=len(samples))
    assert len(found) == len(samples) and max(seen) == 2


def test_a_sample_whose_frame_is_gone_is_reported_and_the_others_are_answered(
    starter: HfEngine, tmp_path: Path
) -> None:
    gone = Sample("gone", "What is this?", media=(SeenMedia(MediaKind.IMAGE, (Frame(tmp_path / "gone.png"),)),))
    found = dict(starter.flow([Order(gone, 8), Order(Sample("there", TEXTS[0]), 8)], lambda room: []))
    assert isinstance(found[0], OSError) and isinstance(found[1], Rollout)


def test_where_memory_does_not_suffice_it_goes_on_in_smaller_batches(
    starter: HfEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [Sample(str(number), text) for number, text in enumerate(TEXTS[:4])]
    expected = [group[0] for group in starter.generate(samples, Decoding(max_new_tokens=48))]
    step = continuous_batch.Running.step

    def out_of_memory(self: continuous_batch.Running) -> list[continuous_batch.Row]:
        if len(self.rows) > 2:
            raise torch.OutOfMemoryError
        ended: list[continuous_batch.Row] = step(self)
        return ended

    monkeypatch.setattr(continuous_batch.Running, "step", out_of_memory)
    alike(flowed(starter, [Order(sample, 48) for sample in samples], first=4), expected)

    def never(*args: object) -> list[list[Rollout]]:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(starter, "_one_batch", never)
    with pytest.raises(SampleTooLarge):
        flowed(starter, [Order(sample, 48) for sample in samples], first=4)


def test_layers_that_see_a_window_alone_are_answered_in_batches(
    starter: HfEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert starter.joinable
    monkeypatch.setattr(starter, "joinable", False)
    seen = rows_at_each_step(monkeypatch)
    orders = [Order(Sample("a", TEXTS[0]), 48), Order(Sample("b", TEXTS[1]), 24, LABELS_FIRST)]
    found = dict(starter.flow(orders, lambda room: pytest.fail("nobody joins these")))
    assert seen == []
    monkeypatch.setattr(starter, "joinable", True)
    alike([said for number in range(2) if isinstance(said := found[number], Rollout)], flowed(starter, orders))


def test_the_opening_is_read_once_for_all(starter: HfEngine) -> None:
    orders = [Order(Sample(str(number), text), 2) for number, text in enumerate(TEXTS[:4])]
    flowed(starter, orders)
    read: list[int] = []
    handle = starter.model.register_forward_pre_hook(
        lambda _module, _given, named: read.append(named["input_ids"].numel()), with_kwargs=True
    )
    flowed(starter, orders, first=4)
    handle.remove()
    assert starter._opening is not None
    shared = len(starter._opening[1].input_ids)
    whole = sum(len(encode(starter.processor, order.sample)) for order in orders)
    assert shared > 10 and read == [whole - 4 * shared, 4]


def test_judging_takes_newcomers_in_either_mode_and_puts_sampled_ones_together(starter: HfEngine) -> None:
    assert isinstance(starter, FlowingEngine)
    modes = (Mode.FULL, Mode.FAST, Mode.FULL, Mode.FAST)
    requests = [
        SampleRequest(Sample(str(number), text), mode)
        for number, (text, mode) in enumerate(zip(TEXTS, modes, strict=False))
    ]
    left = requests[1:]
    found = dict(
        judge_as_they_come(starter, requests[:1], lambda room: [left.pop(0)] if left else [], max_new_tokens=64)
    )
    alike(
        [one.greedy for number in range(4) if not isinstance(one := found[number], Exception)],
        [one.greedy for one in judge(starter, requests, max_new_tokens=64)],
    )
    requests = [SampleRequest(Sample(str(number), text), rollouts=2) for number, text in enumerate(TEXTS[:2])]
    sampled = dict(
        judge_as_they_come(starter, requests, lambda room: pytest.fail("nobody joins these"), max_new_tokens=64)
    )
    assert [sampled[number] for number in range(2)] == judge(starter, requests, max_new_tokens=64)
