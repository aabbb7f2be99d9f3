"""Attention that does not copy keys and values for each query head gives what transformers' own gives."""

from pathlib import Path
from types import SimpleNamespace

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from guardapp.guard.engines.hf.grouped_attention import NAME, grouped_attention
from guardapp.guard.engines.hf.hf_engine import HfEngine
from tests.guard.tiny_checkpoint import build_checkpoint


@pytest.mark.parametrize(("heads", "key_heads", "tokens"), [(4, 2, 1), (8, 2, 1), (6, 1, 1), (2, 2, 1), (4, 2, 3)])
@pytest.mark.parametrize("masked", [True, False])
def test_it_gives_what_repeated_keys_and_values_give(heads: int, key_heads: int, tokens: int, masked: bool) -> None:
    torch.manual_seed(3)
    query = torch.randn(3, tokens, heads, 16).transpose(1, 2)
    # the first places of the first slots, as the cache gives them
    key, value = torch.randn(2, 5, key_heads, 12, 16)[:, :3, :, :9]
    mask = (torch.arange(9) <= torch.tensor([[4], [8], [0]]))[:, None, None].expand(3, 1, tokens, 9) if masked else None
    module = SimpleNamespace(num_key_value_groups=heads // key_heads, is_causal=True)
    expected, _ = sdpa_attention_forward(module, query, key, value, mask, scaling=0.3)
    found, _ = grouped_attention(module, query, key, value, mask, scaling=0.3)
    assert found.shape == expected.shape == (3, tokens, heads, 16)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen2_5_vl"])
def test_the_engine_uses_it_in_the_language_model_alone(tmp_path: Path, family: str) -> None:
    config = HfEngine(str(build_checkpoint(tmp_path, family)), device="cpu", threads=1).model.config  # type: ignore[arg-type]
    assert (config.text_config._attn_implementation, config.vision_config._attn_implementation) == (NAME, "sdpa")
