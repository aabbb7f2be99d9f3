"""The engine over HTTP against a real vLLM beside the transformers engine, on texts, images and clips."""

import os
import pickle
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardapp.guard.engines.hf import HfEngine
from guardapp.guard.engines.openai_server import OpenAIServerEngine
from guardapp.guard.judging import LABELS_FIRST
from guardapp.guard.media import PRESETS, decode
from guardapp.guard.verdict import Decoding, Rollout, Sample
from tests.vllm.served import ROOT, STARTER, vllm_server
from training.starter.rows_media import generate_media, render_clip, render_image
from training.starter.rows_text import generate

PYTHON = os.environ.get("GUARDAPP_TEST_VLLM", "")
SEED = 5
GREEDY = Decoding(max_new_tokens=128)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800),
              pytest.mark.skipif(not PYTHON, reason="GUARDAPP_TEST_VLLM names no environment with vLLM: make test-vllm")]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """200 rows on topics that no training row is about: 150 texts, 40 with a picture, 10 with a clip."""
    folder = tmp_path_factory.mktemp("media")
    made = [Sample(row["id"], row["prompt"], row["response"]) for row in generate(SEED, 150, held_out_topics=True)]
    for kind, count, ending, render in (("image", 40, "png", render_image), ("video", 10, "mp4", render_clip)):
        for number, row in enumerate(generate_media(SEED, count, held_out_topics=True, kind=kind)):
            path = folder / f"{kind}-{number}.{ending}"
            render(row, path)
            seen = decode(path, folder / f"{kind}-{number}", PRESETS["starter"]).seen
            made.append(Sample(row["id"], row["prompt"], row["response"], (seen,)))
    return made


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAIServerEngine]:
    with vllm_server(PYTHON, tmp_path_factory.mktemp("vllm") / "log.txt") as url:
        yield OpenAIServerEngine(str(STARTER), [url])


@pytest.fixture(scope="module")
def local() -> HfEngine:
    return HfEngine(str(STARTER), device="cpu", threads=1)


def verdict(rollout: Rollout) -> object:
    return rollout.judgement.verdict if rollout.judgement else None


def test_greedy_verdicts_are_those_of_transformers(served: OpenAIServerEngine, local: HfEngine, samples: list[Sample]) -> None:
    theirs, ours = ([group[0] for group in engine.generate(samples, GREEDY)] for engine in (served, local))
    different = [sample.id for sample, one, other in zip(samples, theirs, ours, strict=True) if verdict(one) != verdict(other)]
    words = sum(one.completion != other.completion for one, other in zip(theirs, ours, strict=True))
    print(f"\n{len(samples)} rows: {len(different)} verdicts differ, {words} completions differ in a word")
    assert len(different) <= 0.01 * len(samples), different
    for one, other in zip(theirs, ours, strict=True):
        if one.completion == other.completion and other.prompt_score is not None:
            assert one.prompt_score == pytest.approx(other.prompt_score, abs=0.01)


def test_rollouts_prefixes_and_structure_work(served: OpenAIServerEngine, local: HfEngine, samples: list[Sample]) -> None:
    [group] = served.generate(samples[:1], Decoding(temperature=1.0, top_p=0.95, n=8, max_new_tokens=64))
    assert len(group) == 8 and len({rollout.completion for rollout in group}) > 1
    prefixes = [LABELS_FIRST] * 20
    theirs, ours = (engine.continue_from(samples[:20], prefixes, Decoding(max_new_tokens=24)) for engine in (served, local))
    assert sum(one.completion != other.completion for one, other in zip(theirs, ours, strict=True)) <= 2
    served.structured = True
    hot = Decoding(temperature=1.5, n=8, max_new_tokens=128)
    finished = [rollout for group in served.generate(samples[:8], hot) for rollout in group if rollout.finished]
    served.structured = False
    assert finished and all(rollout.judgement is not None for rollout in finished)


def test_the_offline_engine_says_what_transformers_says(local: HfEngine, samples: list[Sample], tmp_path: Path) -> None:
    few = [*samples[:40], *samples[150:160], *samples[190:194]]
    (tmp_path / "asked.pickle").write_bytes(pickle.dumps(few))
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([PYTHON, "-m", "tests.vllm.ask_offline", str(STARTER), str(tmp_path / "asked.pickle")], cwd=ROOT, env=environment,
                          capture_output=True, text=True, timeout=1_500, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4_000:]
    greedy, forced, drawn = pickle.loads((tmp_path / "asked.answers").read_bytes())
    ours = [group[0] for group in local.generate(few, GREEDY)]
    assert [verdict(one) for one in greedy] == [verdict(one) for one in ours]
    print(f"\n{len(few)} rows offline: no verdict differs")
    assert [one.prompt_score for one in greedy] == [pytest.approx(one.prompt_score, abs=0.01) for one in ours]
    wanted = local.continue_from(few[:10], [LABELS_FIRST] * 10, Decoding(max_new_tokens=24))
    assert [one.completion for one in forced] == [one.completion for one in wanted]
    assert len(drawn) == 8 and len({one.completion for one in drawn}) > 1
