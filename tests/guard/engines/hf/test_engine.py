"""The transformers engine on tiny checkpoints: one random of each family, and one that was trained to answer."""

import json
from pathlib import Path

import pytest
import torch

from guardapp.guard.engines.hf.hf_engine import HfEngine, SampleTooLarge
from guardapp.guard.protocol import CheckpointNotUsable, Engine
from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Decoding, Sample
from tests.guard.tiny_checkpoint import Family, build_checkpoint, build_engine, image_sample, text_sample, video_sample
from tests.training.tiny_run import trained_guard

SIDE = {"qwen3_vl": 64, "qwen2_5_vl": 56}
SHORT = Decoding(max_new_tokens=12)
LONG = Decoding(max_new_tokens=64)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> HfEngine:
    return HfEngine(str(trained_guard(tmp_path_factory)), device="cpu", threads=1)


@pytest.fixture(scope="module", params=["qwen3_vl", "qwen2_5_vl"])
def random_engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HfEngine:
    return build_engine(tmp_path_factory.mktemp("random"), request.param)


def mixed_samples(folder: Path, family: Family) -> list[Sample]:
    side = SIDE[family]
    return [
        text_sample(2),
        video_sample(folder, side=side),
        text_sample(),
        image_sample(folder, side=side),
        text_sample(7),
    ]


def test_a_mixed_batch_answers_as_single_samples_do(random_engine: HfEngine, tmp_path: Path) -> None:
    samples = mixed_samples(tmp_path, random_engine.model.config.model_type)
    together = random_engine.generate(samples, SHORT)
    assert together == [random_engine.generate([sample], SHORT)[0] for sample in samples]
    assert len({group[0].completion for group in together}) > 1


def test_small_batches_give_the_same_answers_in_the_order_given(
    random_engine: HfEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = mixed_samples(tmp_path, random_engine.model.config.model_type)
    together = random_engine.generate(samples, SHORT)
    monkeypatch.setattr(random_engine, "batch_size", 2)
    assert random_engine.generate(samples, SHORT) == together
    assert random_engine.generate([], SHORT) == []


def test_it_is_an_engine(random_engine: HfEngine) -> None:
    assert isinstance(random_engine, Engine)


def test_rollouts_differ_when_sampled_repeat_with_their_seed_and_are_one_when_greedy(random_engine: HfEngine) -> None:
    sampled = Decoding(temperature=1.0, top_p=0.95, n=4, max_new_tokens=12, seed=5)
    groups = random_engine.generate([text_sample(0), text_sample(4)], sampled)
    assert [len(group) for group in groups] == [4, 4]
    assert len({rollout.completion for rollout in groups[0]}) > 1
    assert random_engine.generate([text_sample(0), text_sample(4)], sampled) == groups
    (greedy,) = random_engine.generate([text_sample(0)], Decoding(n=3, max_new_tokens=12))
    assert len(greedy) == 3
    assert len(set(greedy)) == 1


def test_a_completion_that_does_not_parse_is_data(random_engine: HfEngine) -> None:
    ((rollout,),) = random_engine.generate([text_sample()], SHORT)
    assert rollout.judgement is None
    assert rollout.prompt_score is None
    assert rollout.tokens <= 12


def test_the_trained_guard_distinguishes_media_and_scores_its_labels(trained: HfEngine, tmp_path: Path) -> None:
    samples = [text_sample(1), image_sample(tmp_path), video_sample(tmp_path)]
    text, image, video = (group[0] for group in trained.generate(samples, LONG))
    assert image.judgement is not None
    assert image.judgement.verdict.prompt is Harmfulness.HARMFUL
    assert image.judgement.verdict.response is Harmfulness.HARMFUL
    assert image.prompt_score is not None
    assert image.response_score is not None
    assert 0.5 < image.prompt_score <= 1
    assert 0.5 < image.response_score <= 1
    for rollout in (text, video):
        assert rollout.finished
        assert rollout.judgement is not None
        assert rollout.judgement.verdict.prompt is Harmfulness.UNHARMFUL
        assert rollout.prompt_score is not None
        assert 0 <= rollout.prompt_score < 0.5
        assert rollout.response_score is None


def test_the_prompt_score_is_the_models_own_probability_ratio(trained: HfEngine) -> None:
    sample = text_sample(1)
    ((rollout,),) = trained.generate([sample], LONG)
    before_label = rollout.completion[: rollout.completion.index("Request:") + len("Request:")]
    from guardapp.guard.engines.hf.encoding import collate, encode

    inputs = collate([encode(trained.processor, sample, before_label, end=False)], pad_token_id=0, side="left")
    with torch.inference_mode():
        logits = trained.model(**inputs).logits[0, -1]
    harmful, unharmful = (trained.tokenizer(f" {label}")["input_ids"][0] for label in ("harmful", "unharmful"))
    expected = torch.softmax(logits[[harmful, unharmful]], dim=0)[0].item()
    assert rollout.prompt_score == pytest.approx(expected, abs=1e-5)


def test_the_scores_do_not_change_with_the_temperature(trained: HfEngine) -> None:
    """They are the model's own, taken before temperature and top_p."""
    ((greedy,),) = trained.generate([text_sample(1)], LONG)
    ((cold,),) = trained.generate([text_sample(1)], Decoding(temperature=0.1, top_p=0.5, max_new_tokens=64))
    assert cold.completion == greedy.completion
    assert cold.prompt_score == pytest.approx(greedy.prompt_score, abs=1e-5)


def test_continuing_keeps_each_prefix_and_goes_on_from_it(trained: HfEngine, tmp_path: Path) -> None:
    ((whole,),) = trained.generate([text_sample(1)], LONG)
    cut = whole.completion.index("</think>")
    prefixes = [whole.completion[:cut], "<think>\nThe person", ""]
    rollouts = trained.continue_from([text_sample(1), image_sample(tmp_path), text_sample(3)], prefixes, LONG)
    assert [rollout.completion.startswith(prefix) for rollout, prefix in zip(rollouts, prefixes, strict=True)] == [
        True
    ] * 3
    assert rollouts[0].completion == whole.completion
    assert rollouts[0].prompt_score == pytest.approx(whole.prompt_score, abs=1e-5)
    assert rollouts[0].tokens < whole.tokens


def test_a_label_in_the_forced_prefix_has_no_score(trained: HfEngine) -> None:
    prefix = "<think>\nThat is harmful.\n</think>\n<result>\nRequest: harmful\n"
    (rollout,) = trained.continue_from([text_sample(1)], [prefix], LONG)
    assert rollout.prompt_score is None
    assert rollout.completion.startswith(prefix)


def test_a_batch_too_large_for_the_device_is_halved(random_engine: HfEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [text_sample(number) for number in range(4)]
    expected = random_engine.generate(samples, SHORT)
    real = random_engine.model.generate

    def two_at_most(**inputs: torch.Tensor) -> torch.Tensor:
        if len(inputs["input_ids"]) > 2:
            raise torch.OutOfMemoryError
        output: torch.Tensor = real(**inputs)
        return output

    monkeypatch.setattr(random_engine.model, "generate", two_at_most)
    assert random_engine.generate(samples, SHORT) == expected


def test_a_sample_too_large_for_the_device_is_named(random_engine: HfEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(**_: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(random_engine.model, "generate", never)
    with pytest.raises(SampleTooLarge, match="text-2"):
        random_engine.generate([text_sample(2)], SHORT)


def test_a_checkpoints_own_decoding_defaults_do_not_count(tmp_path: Path) -> None:
    checkpoint = build_checkpoint(tmp_path / "checkpoint")
    plain = HfEngine(str(checkpoint), device="cpu", threads=1).generate([text_sample()], SHORT)
    config = json.loads((checkpoint / "generation_config.json").read_text())
    config |= {"do_sample": True, "repetition_penalty": 5.0, "temperature": 2.0, "top_k": 3}
    (checkpoint / "generation_config.json").write_text(json.dumps(config))
    assert HfEngine(str(checkpoint), device="cpu", threads=1).generate([text_sample()], SHORT) == plain


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ('{"model_type": "bert"}', "bert"),
        ("{}", "no readable checkpoint"),
        (None, "no config.json"),
    ],
)
def test_anything_else_than_a_qwen_vl_checkpoint_is_refused_by_name(
    tmp_path: Path, config: str | None, found: str
) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(CheckpointNotUsable, match=found):
        HfEngine(str(tmp_path))
