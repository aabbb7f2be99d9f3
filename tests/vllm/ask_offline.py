"""Run in vLLM's environment: asks the offline engine for the samples of a pickle, and leaves its rollouts beside it."""

import pickle
import sys
from pathlib import Path

from guardapp.guard.engines.vllm import VllmEngine
from guardapp.guard.judging import LABELS_FIRST
from guardapp.guard.verdict import Decoding


def main(checkpoint: str, asked: Path) -> None:
    samples = pickle.loads(asked.read_bytes())
    engine = VllmEngine(checkpoint, dtype="float32", max_model_len=4096, max_num_seqs=32, enforce_eager=True)
    greedy = [group[0] for group in engine.generate(samples, Decoding(max_new_tokens=128))]
    forced = engine.continue_from(samples[:10], [LABELS_FIRST] * 10, Decoding(max_new_tokens=24))
    [drawn] = engine.generate(samples[:1], Decoding(temperature=1.0, top_p=0.95, n=8, max_new_tokens=64))
    engine.structured = True
    [structured] = engine.generate(samples[:1], Decoding(temperature=1.5, n=8, max_new_tokens=128))
    asked.with_suffix(".answers").write_bytes(pickle.dumps((greedy, forced, drawn, structured)))


if __name__ == "__main__":  # vLLM starts children that import this file again
    main(sys.argv[1], Path(sys.argv[2]))
