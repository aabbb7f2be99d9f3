"""The guard in an in-process vLLM, for mining, evaluation and backfill of thousands of samples."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import numpy as np
from vllm import LLM, SamplingParams
from vllm.sampling_params import StructuredOutputsParams

from guardapp.guard.engines.hf.checkpoint import load_processor
from guardapp.guard.engines.hf.encoding import DEFAULT_STYLE, PromptStyle, load_frames, prompt_tokens, render_prompt
from guardapp.guard.engines.hf.video_clock import MILLISECONDS, clock_of
from guardapp.guard.engines.token_scores import WrittenToken, label_scores
from guardapp.guard.parsing import RESULT_LAYOUT, parse_answer
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Decoding, Rollout, Sample, SeenMedia

TOP_TOKENS = 5


class VllmEngine:
    """A guard in vLLM, which takes its devices entirely. Implements `Engine`; not thread-safe.

    `options` are those of vllm.LLM, such as tensor_parallel_size and gpu_memory_utilization. The prompt of n rollouts
    is prefilled once (prefix caching). `structured` restricts the output to what parses. Raises CheckpointNotUsable.
    """

    def __init__(
        self, checkpoint: str, *, style: PromptStyle = DEFAULT_STYLE, structured: bool = False, **options: Any
    ) -> None:
        self.name = checkpoint
        self.structured = structured
        self.style = style
        self.processor = load_processor(checkpoint)
        self.llm = LLM(checkpoint, enable_prefix_caching=True, limit_mm_per_prompt={"image": 16, "video": 4}, **options)

        self.context: int | None = int(self.llm.llm_engine.model_config.max_model_len)

    def prompt_tokens(self, sample: Sample) -> int:
        """As in `MeasuringEngine`."""
        return prompt_tokens(self.processor, sample, self.style)

    def generate(self, samples: Sequence[Sample], decoding: Decoding) -> list[list[Rollout]]:
        """Return `decoding.n` rollouts per sample, in input order. Raises OSError for a missing frame."""
        # all greedy rollouts of a sample are equal
        if decoding.temperature == 0 and decoding.n > 1:
            return [group * decoding.n for group in self.generate(samples, replace(decoding, n=1))]
        return self._ask(samples, [""] * len(samples), decoding)

    def continue_from(self, samples: Sequence[Sample], prefixes: Sequence[str], decoding: Decoding) -> list[Rollout]:
        """Return one rollout per sample. Its completion starts with `prefixes[i]`, which is kept in `completion`."""
        return [group[0] for group in self._ask(samples, prefixes, replace(decoding, n=1))]

    def _ask(self, samples: Sequence[Sample], prefixes: Sequence[str], decoding: Decoding) -> list[list[Rollout]]:
        if not samples:
            return []
        layout = StructuredOutputsParams(regex=RESULT_LAYOUT) if self.structured and not any(prefixes) else None
        sampling = SamplingParams(
            n=decoding.n,
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            max_tokens=decoding.max_new_tokens,
            seed=decoding.seed,
            logprobs=TOP_TOKENS,
            structured_outputs=layout,
        )
        outputs = self.llm.generate(
            [self._prompt(sample, prefix) for sample, prefix in zip(samples, prefixes, strict=True)],
            sampling,
            use_tqdm=False,
        )
        return [
            [_rollout(sample, prefix, one) for one in output.outputs]
            for sample, prefix, output in zip(samples, prefixes, outputs, strict=True)
        ]

    def _prompt(self, sample: Sample, prefix: str) -> dict[str, Any]:
        data: dict[str, list[Any]] = {}
        for medium in sample.media:
            if medium.kind is MediaKind.IMAGE:
                data.setdefault("image", []).append(load_frames(medium)[0])
            else:
                data.setdefault("video", []).append(
                    (np.stack([np.asarray(frame) for frame in load_frames(medium)]), _times(medium))
                )
        prompt: dict[str, Any] = {"prompt": render_prompt(self.processor, sample, self.style) + prefix}
        return prompt | ({"multi_modal_data": data} if data else {})


def _times(medium: SeenMedia) -> dict[str, Any]:
    """Pass the true timestamps to the processor; frames are already sampled, so it must not sample again."""
    clock = clock_of(medium)
    return {
        "total_num_frames": clock.total_frames,
        "fps": float(MILLISECONDS),
        "duration": clock.duration_s,
        "frames_indices": list(clock.indices),
        "do_sample_frames": False,
    }


def _rollout(sample: Sample, prefix: str, output: Any) -> Rollout:
    completion = prefix + output.text
    tokens = [
        WrittenToken(places[token].decoded_token.encode(), {one.decoded_token: one.logprob for one in places.values()})
        for token, places in zip(output.token_ids, output.logprobs or (), strict=True)
    ]
    scores = label_scores(completion, len(prefix), tokens)
    return Rollout(
        completion=completion,
        judgement=parse_answer(completion, sample),
        tokens=len(output.token_ids),
        finished=output.finish_reason == "stop",
        prompt_score=scores.prompt,
        response_score=scores.response,
    )
