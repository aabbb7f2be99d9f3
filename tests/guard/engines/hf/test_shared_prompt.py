"""Reading a prompt once for several completions changes none of them."""

from pathlib import Path

import pytest
import torch
from transformers import GenerationConfig

from guardapp.guard.engines.hf.encoding import collate, encode
from guardapp.guard.engines.hf.hf_engine import HfEngine
from guardapp.guard.engines.hf.shared_prompt import read_once
from guardapp.guard.verdict import Decoding, Sample
from tests.guard.tiny_checkpoint import build_engine, image_sample, text_sample, video_sample

SIDE = {"qwen3_vl": 64, "qwen2_5_vl": 56}


@pytest.fixture(scope="module", params=["qwen3_vl", "qwen2_5_vl"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HfEngine:
    return build_engine(tmp_path_factory.mktemp("random"), request.param)


def samples(folder: Path, engine: HfEngine) -> list[Sample]:
    side = SIDE[engine.model.config.model_type]
    return [text_sample(2), video_sample(folder, side=side), text_sample(), image_sample(folder, side=side)]


@pytest.mark.parametrize("greedy", [True, False])
def test_completions_are_those_of_num_return_sequences(engine: HfEngine, tmp_path: Path, greedy: bool) -> None:
    config = {
        "do_sample": not greedy,
        "max_new_tokens": 24,
        "eos_token_id": engine.end_ids,
        "pad_token_id": engine.tokenizer.pad_token_id,
        **({} if greedy else {"temperature": 1.0, "top_p": 0.95, "top_k": 0}),
    }
    inputs = collate(
        [encode(engine.processor, sample) for sample in samples(tmp_path, engine)],
        pad_token_id=engine.tokenizer.pad_token_id,
        side="left",
    )
    with torch.inference_mode():
        torch.manual_seed(5)
        repeats = {} if greedy else {"num_return_sequences": 3}
        plain = engine.model.generate(**inputs, generation_config=GenerationConfig(**config, **repeats))
        torch.manual_seed(5)
        shared = engine.model.generate(
            **read_once(engine.model, inputs, 3), generation_config=GenerationConfig(**config)
        )
    expected = plain.repeat_interleave(3, dim=0) if greedy else plain
    assert torch.equal(shared, expected)
    assert len({tuple(row) for row in shared[:, inputs["input_ids"].shape[1] :].tolist()}) > 2


def test_the_vision_tower_sees_a_picture_once(engine: HfEngine, tmp_path: Path) -> None:
    seen: list[int] = []
    tower = engine.model.model.visual
    handle = tower.register_forward_pre_hook(
        lambda _module, arguments, keywords: seen.append(
            len(keywords.get("hidden_states", arguments[0] if arguments else ()))
        ),
        with_kwargs=True,
    )
    picture = samples(tmp_path, engine)[3]
    patches = len(encode(engine.processor, picture).pixels["pixel_values"])
    groups = engine.generate([picture], Decoding(temperature=1.0, n=5, max_new_tokens=6))
    handle.remove()
    assert seen == [patches]
    assert len(groups[0]) == 5


def test_what_was_read_before_does_not_show_in_the_next_batch(engine: HfEngine, tmp_path: Path) -> None:
    """The model keeps a rope offset from one call to the next."""
    drawn = Decoding(temperature=1.0, n=3, max_new_tokens=12, seed=4)
    text, video, *_ = samples(tmp_path, engine)
    first = engine.generate([text], drawn)
    engine.generate([video], drawn)
    engine.generate([video], Decoding(max_new_tokens=4))
    assert engine.generate([text], drawn) == first
