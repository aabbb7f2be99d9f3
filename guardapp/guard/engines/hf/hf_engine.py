"""The transformers engine: batched generation on a CPU or CUDA device, with text, images and video in one batch."""

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
from transformers import GenerationConfig, LogitsProcessorList

from guardapp.guard.engines.hf.checkpoint import end_token_ids, load_model, load_processor
from guardapp.guard.engines.hf.continuous_batch import Opening, Row, Running, read_opening
from guardapp.guard.engines.hf.encoding import DEFAULT_STYLE, Encoded, PromptStyle, collate, encode, prompt_tokens
from guardapp.guard.engines.hf.grouped_attention import use_grouped_attention
from guardapp.guard.engines.hf.heap import give_back_large_blocks
from guardapp.guard.engines.hf.label_scores import LabelReader, Recorder
from guardapp.guard.engines.hf.lanes import Lanes
from guardapp.guard.engines.hf.shared_prompt import read_once
from guardapp.guard.engines.hf.unwanted import ended_when_unwanted
from guardapp.guard.parsing import parse_answer
from guardapp.guard.protocol import EngineError, NobodyWaits, Order, SampleTooLong
from guardapp.guard.verdict import Decoding, Rollout, Sample

SEEDS = 2**63
# places of the attention mask of a padded batch: they cost memory, and on a CPU much time; a single row needs none
MASKED, MASKED_ON_CUDA = 2**24, 2**30


class SampleTooLarge(EngineError):
    """A single sample needs more memory than the device has left."""


class HfEngine:
    """A guard loaded with transformers. Implements `FlowingEngine`; not thread-safe.

    `device=None` uses CUDA if available. `dtype=None` is bfloat16 on CUDA and float32 on a CPU. `threads=0` keeps
    torch's default. `batch_size` limits the completions generated together, `batch_tokens` approximately their prompt
    tokens, `context` the tokens of prompt and completion (0: the model's own limit). Raises CheckpointNotUsable.
    """

    def __init__(
        self,
        checkpoint: str,
        *,
        device: str | None = None,
        dtype: torch.dtype | None = None,
        threads: int = 0,
        batch_size: int = 32,
        batch_tokens: int = 65_536,
        context: int = 0,
        style: PromptStyle = DEFAULT_STYLE,
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        give_back_large_blocks()
        self.name = checkpoint
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.dtype = dtype or (torch.bfloat16 if self.device.type == "cuda" else torch.float32)
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens
        self.style = style
        self.masked = MASKED_ON_CUDA if self.device.type == "cuda" else MASKED
        self.processor = load_processor(checkpoint)
        self.tokenizer = self.processor.tokenizer
        self.model = load_model(checkpoint, dtype=self.dtype).to(self.device).eval()
        use_grouped_attention(self.model)
        self.end_ids = end_token_ids(self.model, self.tokenizer)
        # released checkpoints bring their own temperature and repetition penalty; only `Decoding` must count
        self.model.generation_config = GenerationConfig(
            eos_token_id=self.end_ids, pad_token_id=self.tokenizer.pad_token_id
        )
        self.labels = LabelReader(self.tokenizer)
        text_config = self.model.config.get_text_config()
        own = int(text_config.max_position_embeddings)
        self.context: int | None = min(own, context or own)
        self.joinable = "sliding_attention" not in (getattr(text_config, "layer_types", None) or ())
        self._opening: tuple[str | None, Opening] | None = None

    def generate(self, samples: Sequence[Sample], decoding: Decoding) -> list[list[Rollout]]:
        """Return `decoding.n` rollouts per sample, in input order.

        Raises SampleTooLarge, or OSError for a missing frame.
        """
        # all greedy rollouts of a sample are equal
        if decoding.temperature == 0 and decoding.n > 1:
            return [group * decoding.n for group in self.generate(samples, replace(decoding, n=1))]
        return self._in_batches(samples, [None] * len(samples), decoding)

    def continue_from(self, samples: Sequence[Sample], prefixes: Sequence[str], decoding: Decoding) -> list[Rollout]:
        """Return one rollout per sample. Its completion starts with `prefixes[i]`, which is kept in `completion`.

        `tokens` counts the tokens after the prefix. A label inside the prefix was not the guard's choice and has no
        score.
        """
        return [group[0] for group in self._in_batches(samples, prefixes, replace(decoding, n=1))]

    def prompt_tokens(self, sample: Sample) -> int:
        """As in `MeasuringEngine`."""
        return prompt_tokens(self.processor, sample, self.style)

    def _check(self, tokens: int, max_new_tokens: int) -> None:
        if self.context is not None and tokens + max_new_tokens > self.context:
            raise SampleTooLong(tokens, max(0, self.context - max_new_tokens))

    def flow(
        self, orders: Sequence[Order], more: Callable[[int], Sequence[Order]]
    ) -> Iterator[tuple[int, Rollout | Exception]]:
        """Run orders as in `FlowingEngine`: at most `batch_size` at once, in a cache of about `batch_tokens`.

        Orders with long prompts get a share of the time (`lanes`). Models with sliding-window layers process the first
        orders in batches, which none can join.
        """
        if not self.joinable:
            yield from self._in_batches_of(dict(enumerate(orders)))
            return
        opening = self._read_opening(orders)
        lanes = Lanes(
            lambda: Running(self.model, end_ids=self.end_ids, watched=self.labels.watched, opening=opening),
            self.batch_tokens,
        )
        open_orders: dict[int, Order] = {}
        newcomers, given = orders, 0
        while newcomers or lanes.busy:
            for number, order in enumerate(newcomers, given):
                try:
                    prompt = encode(self.processor, order.sample, order.prefix, end=False, style=self.style)
                    self._check(len(prompt), order.max_new_tokens)
                except (OSError, ValueError, SampleTooLong) as error:
                    yield number, error
                else:
                    open_orders[number] = order
                    lanes.add(Row(number, prompt, order.max_new_tokens))
            given += len(newcomers)
            for number in [number for number, order in open_orders.items() if not order.wanted()]:
                del open_orders[number]
                lanes.drop(number)
                yield number, NobodyWaits(NobodyWaits.__doc__)
            try:
                ended = lanes.advance()
            except torch.OutOfMemoryError:
                yield from self._in_batches_of(open_orders)
                return
            for row in ended:
                sample = open_orders.pop(row.number).sample
                yield row.number, self._rollout(sample, row.prompt, row.written, torch.stack(row.watched))
            newcomers = more(self.batch_size - lanes.short)

    def forget(self) -> None:
        """Free the device's memory. The engine cannot be used afterwards."""
        del self.model, self._opening
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _read_opening(self, orders: Sequence[Order]) -> Opening:
        """Prefill the common opening of prompts with the first order's policy text; cached for the next flow."""
        policy = orders[0].sample.policy_text
        if self._opening is None or self._opening[0] != policy:
            one, other = (
                encode(self.processor, Sample("", prompt, policy_text=policy), style=self.style).input_ids
                for prompt in "ab"
            )
            alike = (one[: min(len(one), len(other))] == other[: min(len(one), len(other))]).cumprod(0).sum()
            self._opening = policy, read_opening(self.model, one[: int(alike)])
        return self._opening[1]

    def _in_batches_of(self, orders: dict[int, Order]) -> Iterator[tuple[int, Rollout]]:
        """Fallback without joining, as after an out-of-memory error: batches that are halved until they fit."""
        for most in {order.max_new_tokens for order in orders.values()}:
            alike = [(number, order) for number, order in orders.items() if order.max_new_tokens == most]
            groups = self._in_batches(
                [order.sample for _, order in alike],
                [order.prefix for _, order in alike],
                Decoding(max_new_tokens=most),
            )
            yield from ((number, group[0]) for (number, _), group in zip(alike, groups, strict=True))

    def _in_batches(
        self, samples: Sequence[Sample], prefixes: Sequence[str | None], decoding: Decoding
    ) -> list[list[Rollout]]:
        results: list[list[Rollout]] = [[] for _ in samples]
        for number, indices in enumerate(self._batches(samples, decoding.n, decoding.max_new_tokens)):
            seeded = replace(decoding, seed=(decoding.seed + number) % SEEDS)
            groups = self._fitting(
                [samples[index] for index in indices], [prefixes[index] for index in indices], seeded
            )
            for index, group in zip(indices, groups, strict=True):
                results[index] = group
        return results

    def _batches(self, samples: Sequence[Sample], n: int, max_new_tokens: int = 0) -> Iterator[list[int]]:
        """Yield indices of samples to generate together, longest first, so that too large a batch fails early.

        Raises SampleTooLong.
        """
        sizes = [self.prompt_tokens(sample) for sample in samples]
        for size in sizes:
            self._check(size, max_new_tokens)
        batch: list[int] = []
        for index in sorted(range(len(samples)), key=lambda index: sizes[index], reverse=True):
            widest, rows = sizes[batch[0]] if batch else 0, len(batch) + 1
            if batch and (
                rows * n > self.batch_size or rows * n * widest > self.batch_tokens or rows * widest**2 > self.masked
            ):
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def _fitting(
        self, samples: Sequence[Sample], prefixes: Sequence[str | None], decoding: Decoding
    ) -> list[list[Rollout]]:
        """Run one batch, and halve it if the device runs out of memory."""
        try:
            groups: list[list[Rollout]] = self._one_batch(samples, prefixes, decoding)
            return groups
        except torch.OutOfMemoryError as error:
            if len(samples) == 1:
                raise SampleTooLarge(
                    f"Sample {samples[0].id} does not fit into the memory of {self.device}."
                ) from error
        torch.cuda.empty_cache()
        half = len(samples) // 2
        return self._fitting(samples[:half], prefixes[:half], decoding) + self._fitting(
            samples[half:], prefixes[half:], decoding
        )

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _one_batch(
        self, samples: Sequence[Sample], prefixes: Sequence[str | None], decoding: Decoding
    ) -> list[list[Rollout]]:
        rows = [
            encode(self.processor, sample, prefix, end=False, style=self.style)
            for sample, prefix in zip(samples, prefixes, strict=True)
        ]
        inputs = {
            key: tensor.to(self.device)
            for key, tensor in collate(rows, pad_token_id=self.tokenizer.pad_token_id, side="left").items()
        }
        recorder = Recorder(self.labels.watched.to(self.device))
        torch.manual_seed(decoding.seed)
        width = inputs["input_ids"].shape[1]
        with ended_when_unwanted(self.model, decoding.wanted):
            arguments = read_once(self.model, inputs, decoding.n) if decoding.n > 1 else inputs
            output = self.model.generate(
                **arguments, generation_config=self._config(decoding), logits_processor=LogitsProcessorList([recorder])
            )
        generated, watched = output[:, width:].tolist(), recorder.watched()
        # the completions of one sample are adjacent
        n = decoding.n
        return [
            [self._rollout(sample, row, generated[at], watched[at]) for at in range(number * n, (number + 1) * n)]
            for number, (sample, row) in enumerate(zip(samples, rows, strict=True))
        ]

    def _config(self, decoding: Decoding) -> GenerationConfig:
        common = {
            "max_new_tokens": decoding.max_new_tokens,
            "use_cache": True,
            "eos_token_id": self.end_ids,
            "pad_token_id": self.tokenizer.pad_token_id,
        }
        if decoding.temperature == 0:
            return GenerationConfig(do_sample=False, **common)
        return GenerationConfig(
            do_sample=True, temperature=decoding.temperature, top_p=decoding.top_p, top_k=0, **common
        )

    def _rollout(self, sample: Sample, row: Encoded, generated: list[int], watched: torch.Tensor) -> Rollout:
        """Build a rollout. `generated` is padded after the end token; `watched` has shape (steps, label tokens)."""
        ends = [at for at, token in enumerate(generated) if token in self.end_ids]
        tokens = generated[: ends[0] + 1] if ends else generated
        written = generated[: ends[0]] if ends else generated
        prefix = row.input_ids[row.prompt_tokens :].tolist()
        completion: str = self.tokenizer.decode(
            prefix + written, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        scores = self.labels.scores(completion, prefix, written, watched)
        return Rollout(
            completion=completion,
            judgement=parse_answer(completion, sample),
            tokens=len(tokens),
            finished=bool(ends),
            prompt_score=scores.prompt,
            response_score=scores.response,
        )
