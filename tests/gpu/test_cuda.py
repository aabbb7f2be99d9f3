"""The same engine and fine-tuning on CUDA in bfloat16. Skipped where there is no CUDA device."""

from pathlib import Path

import pytest
import torch

from guardapp.guard.engines.hf.hf_engine import HfEngine
from guardapp.guard.protocol import Order
from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Decoding
from tests.guard.tiny_checkpoint import build_checkpoint, image_sample, text_sample, video_sample
from tests.training.tiny_run import metrics, run_here, sft_run
from training.jobs import sft

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


def test_fine_tuning_in_bfloat16_teaches_a_guard_that_the_engine_serves(tmp_path: Path) -> None:
    run_dir = sft_run(tmp_path / "run", rows=32, max_steps=120, bf16=True, save_bf16=True)
    assert run_here(sft.main, run_dir) == 0
    assert metrics(run_dir)[-1]["loss"] < 0.1 < metrics(run_dir)[0]["loss"]
    engine = HfEngine(str(run_dir / "model"))
    assert (engine.device.type, engine.dtype) == ("cuda", torch.bfloat16)
    samples = [text_sample(1), image_sample(tmp_path), video_sample(tmp_path)]
    groups = engine.generate(samples, Decoding(temperature=1.0, top_p=0.95, n=3, max_new_tokens=64))
    assert [len(group) for group in groups] == [3, 3, 3]
    image = groups[1][0]
    assert image.judgement is not None
    assert image.judgement.verdict.prompt is Harmfulness.HARMFUL
    assert image.prompt_score is not None
    assert 0 <= image.prompt_score <= 1


def test_a_cancelled_adapter_run_resumes(tmp_path: Path) -> None:
    run_dir = sft_run(tmp_path / "run", rows=8, max_steps=4, lora_rank=4, bf16=True, save_every=2)
    assert run_here(sft.main, run_dir) == 0
    (run_dir / "result.json").unlink()
    assert run_here(sft.main, run_dir) == 0


def test_float32_on_cuda_answers_as_the_cpu_does(tmp_path: Path) -> None:
    checkpoint = str(build_checkpoint(tmp_path / "checkpoint"))
    samples = [text_sample(), image_sample(tmp_path), video_sample(tmp_path)]
    there, here = HfEngine(checkpoint, dtype=torch.float32), HfEngine(checkpoint, device="cpu")
    expected = here.generate(samples, Decoding(max_new_tokens=8))
    assert there.generate(samples, Decoding(max_new_tokens=8)) == expected
    orders = [Order(sample, 8) for sample in samples]
    newcomers = orders[1:]
    joined = dict(there.flow(orders[:1], lambda room: [newcomers.pop(0)] if newcomers else []))
    assert [[joined[number]] for number in range(3)] == expected
