"""The engine over HTTP against a real vLLM beside the transformers engine, on texts, images and clips."""

import json
import os
import pickle
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from pytest_django import Settings

from annotation.models import ModelVersion
from annotation.predictions import loaded_engine
from annotation.status import VersionStatus
from guardapp.guard.engines.adapters import ADAPTER
from guardapp.guard.engines.hf.hf_engine import HfEngine
from guardapp.guard.engines.openai_server import OpenAIServerEngine
from guardapp.guard.judging import LABELS_FIRST
from guardapp.guard.media.decode import PRESETS, decode
from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Decoding, Rollout, Sample, Verdict
from tests.absence import absent
from tests.paths import ROOT
from tests.training.tiny_run import run_here, sft_run, write_rows
from tests.vllm.served import STARTER, vllm_server
from training.contract import CONFIG, MINED, MODEL, RESULT, MineConfig, read_json, write_json
from training.jobs import sft
from training.learning.rows import Row
from training.starter.rows_media import generate_media, render_clip, render_image
from training.starter.rows_text import generate

PYTHON = os.environ.get("GUARDAPP_TEST_VLLM", "")
SEED = 5
GREEDY = Decoding(max_new_tokens=128)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]


@pytest.fixture(scope="module", autouse=True)
def environment() -> None:
    if not PYTHON:
        absent("GUARDAPP_TEST_VLLM names no environment with vLLM (make test-vllm makes one)")


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


def test_greedy_verdicts_are_those_of_transformers(
    served: OpenAIServerEngine, local: HfEngine, samples: list[Sample]
) -> None:
    theirs, ours = ([group[0] for group in engine.generate(samples, GREEDY)] for engine in (served, local))
    different = [
        sample.id for sample, one, other in zip(samples, theirs, ours, strict=True) if verdict(one) != verdict(other)
    ]
    words = sum(one.completion != other.completion for one, other in zip(theirs, ours, strict=True))
    print(f"\n{len(samples)} rows: {len(different)} verdicts differ, {words} completions differ in a word")
    assert len(different) <= 0.01 * len(samples), different
    for one, other in zip(theirs, ours, strict=True):
        if one.completion == other.completion and other.prompt_score is not None:
            assert one.prompt_score == pytest.approx(other.prompt_score, abs=0.01)


def test_rollouts_prefixes_and_structure_work(
    served: OpenAIServerEngine, local: HfEngine, samples: list[Sample]
) -> None:
    [group] = served.generate(samples[:1], Decoding(temperature=1.0, top_p=0.95, n=8, max_new_tokens=64))
    assert len(group) == 8 and len({rollout.completion for rollout in group}) > 1
    prefixes = [LABELS_FIRST] * 20
    theirs, ours = (
        engine.continue_from(samples[:20], prefixes, Decoding(max_new_tokens=24)) for engine in (served, local)
    )
    assert sum(one.completion != other.completion for one, other in zip(theirs, ours, strict=True)) <= 2
    served.structured = True
    hot = Decoding(temperature=1.5, n=8, max_new_tokens=128)
    finished = [rollout for group in served.generate(samples[:8], hot) for rollout in group if rollout.finished]
    served.structured = False
    assert finished and all(rollout.judgement is not None for rollout in finished)


def promoted(name: str, checkpoint: Path, parent: ModelVersion | None) -> ModelVersion:
    ModelVersion.objects.filter(status=VersionStatus.PRODUCTION).update(status=VersionStatus.RETIRED)
    return ModelVersion.objects.create(
        name=name, checkpoint=str(checkpoint), parent=parent, status=VersionStatus.PRODUCTION
    )


@pytest.mark.django_db
def test_a_promoted_adapter_is_loaded_while_vllm_serves_and_a_broken_one_leaves_the_former(
    served: OpenAIServerEngine,
    samples: list[Sample],
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_dir = sft_run(
        tmp_path / "run", rows=8, base=STARTER, max_steps=12, lora_rank=8, lora_alpha=16, learning_rate=5e-3
    )
    assert run_here(sft.main, run_dir) == 0
    settings.VLLM_URLS = list(served.servers.urls)
    monkeypatch.setattr(loaded_engine, "_loaded", None)
    few, decoding = samples[:24], Decoding(max_new_tokens=48)
    base = promoted("starter", STARTER, None)
    _, engine = loaded_engine.engine_or_former(base)
    before = [group[0] for group in engine.generate(few, decoding)]

    adapted = promoted("adapted", run_dir / MODEL, base)
    version, engine = loaded_engine.engine_or_former(adapted)
    assert version == adapted and next(iter(served.servers.models().values()))["guardapp:adapted"] == "guardapp:adapted"
    after = [group[0] for group in engine.generate(few, decoding)]
    merged = [group[0] for group in HfEngine(str(run_dir / MODEL), device="cpu", threads=1).generate(few, decoding)]
    changed = sum(one.completion != other.completion for one, other in zip(before, after, strict=True))
    print(
        f"\n{len(few)} rows: the adapter changes {changed} completions, "
        f"{sum(one.completion != other.completion for one, other in zip(after, merged, strict=True))} differ from "
        "the merged model's"
    )
    assert changed >= len(few) // 2
    assert [verdict(one) for one in after] == [verdict(one) for one in merged]
    for one, other in zip(after, merged, strict=True):
        if one.completion == other.completion and other.prompt_score is not None:
            assert one.prompt_score == pytest.approx(other.prompt_score, abs=0.01)

    broken = tmp_path / "broken"
    (broken / ADAPTER).mkdir(parents=True)
    config = json.loads((run_dir / MODEL / ADAPTER / "adapter_config.json").read_text())
    (broken / ADAPTER / "adapter_config.json").write_text(json.dumps(config | {"r": 512}))
    wrong = promoted("wrong", broken, base)
    version, same = loaded_engine.engine_or_former(wrong)
    assert version == adapted and same is engine
    wrong.refresh_from_db()
    assert "not accepted by any server" in wrong.load_error

    version, engine = loaded_engine.engine_or_former(base)  # rolled back
    assert version == adapted  # not before the pause is over
    monkeypatch.setattr(loaded_engine, "RETRY_S", 0.0)
    assert loaded_engine._loaded is not None
    monkeypatch.setattr(loaded_engine, "_loaded", replace(loaded_engine._loaded, retry_at=0.0))
    assert loaded_engine.engine_or_former(base)[0] == base
    [names] = served.servers.models().values()
    assert "guardapp:adapted" in names, "other processes may still ask for it"


def test_the_offline_engine_says_what_transformers_says(local: HfEngine, samples: list[Sample], tmp_path: Path) -> None:
    few = [*samples[:40], *samples[150:160], *samples[190:194]]
    (tmp_path / "asked.pickle").write_bytes(pickle.dumps(few))
    beside_vllm("tests.vllm.ask_offline", str(STARTER), str(tmp_path / "asked.pickle"))
    greedy, forced, drawn, structured = pickle.loads((tmp_path / "asked.answers").read_bytes())
    ours = [group[0] for group in local.generate(few, GREEDY)]
    assert [verdict(one) for one in greedy] == [verdict(one) for one in ours]
    print(f"\n{len(few)} rows offline: no verdict differs")
    assert [one.prompt_score for one in greedy] == [pytest.approx(one.prompt_score, abs=0.01) for one in ours]
    wanted = local.continue_from(few[:10], [LABELS_FIRST] * 10, Decoding(max_new_tokens=24))
    assert [one.completion for one in forced] == [one.completion for one in wanted]
    assert len(drawn) == 8 and len({one.completion for one in drawn}) > 1
    assert all(one.judgement is not None for one in structured if one.finished)


def test_a_mining_asks_vllm_in_its_own_process(tmp_path: Path) -> None:
    rows = [
        Row(
            Sample(value["id"], value["prompt"], value["response"]),
            Verdict(
                Harmfulness(value["prompt_label"]),
                Harmfulness(value["response_label"]) if value["response_label"] else None,
            ),
            value["completion"],
            split="train",
        )
        for value in generate(SEED, 16, held_out_topics=True)
    ]
    dataset = write_rows(tmp_path / "rows.jsonl", rows, tmp_path)
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    write_json(
        run_dir / CONFIG,
        asdict(
            MineConfig(
                str(STARTER), str(dataset), str(tmp_path), rollouts=4, max_new_tokens=128, batch_size=16, engine="vllm"
            )
        ),
    )
    beside_vllm("training.jobs.mine", str(run_dir))
    mined = [json.loads(line) for line in (run_dir / MINED).read_text().splitlines()]
    assert len(mined) == 16 and all(len(line["rollouts"]) == 4 for line in mined)
    result = read_json(run_dir / RESULT)
    assert result is not None and result["rows"] == 16
    print(f"\nmined by vLLM: {result}")


def beside_vllm(module: str, *words: str) -> None:
    """Run one of our programs in vLLM's environment."""
    environment = os.environ | {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [PYTHON, "-m", module, *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1_500,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4_000:]
