"""Configs that GRPO refuses before it loads anything."""

from pathlib import Path
from typing import Any

import pytest
import torch

from guardapp.guard.rl.clip_range import ClipNotUsable
from guardapp.guard.rl.rewards import RewardUnknown
from tests.training.grpo_run import grpo_run
from training.contract import ConfigNotUsable
from training.jobs import grpo


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"reward": "best"}, RewardUnknown, "reward='best'"),
        ({"clip_schedule": "steep"}, ClipNotUsable, "clip_schedule='steep'"),
        ({"loss": "mean"}, ConfigNotUsable, "loss='mean' is not one of token_mean, sequence_mean"),
        ({"generation": "magic"}, ConfigNotUsable, "generation='magic'"),
        ({"group_size": 1}, ConfigNotUsable, "group_size=1"),
        ({"update_batch": 12}, ConfigNotUsable, "update_batch=12 and the 8 completions"),
        ({"concat_share": 1.0}, ConfigNotUsable, "concat_share=1.0"),
        ({"media_preset": "huge"}, ConfigNotUsable, "media_preset='huge'"),
    ],
)
def test_a_config_that_does_not_fit_is_refused_by_its_field(
    tmp_path: Path, fields: dict[str, Any], error: type[Exception], words: str
) -> None:
    run_dir = grpo_run(tmp_path / "run", **fields)
    with pytest.raises(error, match=words.replace("(", r"\(")):
        grpo.main(run_dir)


def test_a_missing_vllm_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_dir = grpo_run(tmp_path / "run", generation="vllm_colocate")
    with pytest.raises(ConfigNotUsable, match=r"needs vLLM, which is not installed: pip install 'guardapp\[vllm\]'"):
        grpo.main(run_dir)
    monkeypatch.setattr("training.learning.grpo.batches.importlib.util.find_spec", lambda name: object())
    if not torch.cuda.is_available():
        with pytest.raises(ConfigNotUsable, match="needs a CUDA device"):
            grpo.main(run_dir)
    monkeypatch.setattr("training.learning.grpo.batches.torch.cuda.is_available", lambda: True)
    with pytest.raises(ConfigNotUsable, match="needs a server"):
        grpo.main(grpo_run(tmp_path / "server", generation="vllm_server"))
