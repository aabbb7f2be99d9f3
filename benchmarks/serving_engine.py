"""A single engine in its own process: `python -m benchmarks.serving_engine KIND CHECKPOINT`.

KIND is `transformers`, `vllm` (offline, in vLLM's environment) or the address of a `vllm serve`. For a line {"prompts":
[…], "mode"} on stdin it prints a line {"seconds", "cpu_s", "tokens", "labels": [one per prompt]}; the first line
printed means that the engine is loaded.
"""

import json
import os
import sys
import time
from typing import Any

from guardapp.guard.judging import Mode, SampleRequest, judge
from guardapp.guard.protocol import Engine
from guardapp.guard.verdict import Sample

MOST_TOKENS = 256  # the product's default
BATCH = 32


def loaded(kind: str, checkpoint: str) -> Engine:
    if kind == "transformers":
        from guardapp.guard.engines.hf.hf_engine import HfEngine

        return HfEngine(checkpoint, threads=1, batch_size=BATCH)
    if kind == "vllm":
        from guardapp.guard.engines.vllm import VllmEngine

        return VllmEngine(checkpoint, dtype="float32", max_model_len=4096, max_num_seqs=BATCH, enforce_eager=True)
    from guardapp.guard.engines.openai_server import OpenAIServerEngine

    return OpenAIServerEngine(checkpoint, [kind], in_flight=BATCH)


def measured(engine: Engine, asked: dict[str, Any]) -> dict[str, Any]:
    requests = [
        SampleRequest(Sample(str(number), prompt), Mode(asked["mode"]))
        for number, prompt in enumerate(asked["prompts"])
    ]
    began, cpu = time.perf_counter(), time.process_time()
    judged = [one.greedy for one in judge(engine, requests, max_new_tokens=MOST_TOKENS)]
    return {
        "seconds": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu,
        "tokens": sum(one.tokens for one in judged),
        "labels": [one.judgement.verdict.prompt if one.judgement else None for one in judged],
    }


def main(kind: str, checkpoint: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    # vLLM and its processes print to standard output
    os.dup2(2, 1)
    engine = loaded(kind, checkpoint)
    print(json.dumps({"loaded": engine.name}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(measured(engine, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
