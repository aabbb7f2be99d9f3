"""The guard behind `vllm serve`, or another server of OpenAI's chat completions API with vLLM's extensions."""

import base64
import mimetypes
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

from guardapp.guard.engines.adapters import Adapter, put_on
from guardapp.guard.engines.counting import TokenCounter
from guardapp.guard.engines.hf.video_clock import MILLISECONDS, clock_of
from guardapp.guard.engines.http_servers import ServerRefused, Servers
from guardapp.guard.engines.token_scores import WrittenToken, label_scores
from guardapp.guard.parsing import RESULT_LAYOUT, parse_answer
from guardapp.guard.prompting import INSTRUCTION, USER_ROLE_LINE, chat_messages, harmless
from guardapp.guard.protocol import CheckpointNotUsable, EngineError, NobodyWaits
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Decoding, Rollout, Sample, SeenMedia, always

# per position; the two labels are nearly always among them
TOP_TOKENS = 5
ASK_EVERY_S = 0.2  # whether anybody still waits
CHAT = "/v1/chat/completions"
NOT_KNOWN = 404  # the request names an unknown model


class OpenAIServerEngine:
    """A guard on HTTP servers. Implements `Engine`; thread-safe.

    The servers batch by themselves, so up to `in_flight` requests run at once. `structured` restricts the output to
    what parses. With an `adapter`, the servers hold its base model; the adapter is loaded now, and again after a server
    restarts. `context` limits the tokens of prompt and completion to less than the servers' own; 0 does not. Raises
    CheckpointNotUsable if no server serves the checkpoint.
    """

    def __init__(
        self,
        checkpoint: str,
        urls: Sequence[str],
        *,
        key: str = "",
        in_flight: int = 64,
        structured: bool = False,
        instruction: str = INSTRUCTION,
        role_line: str = USER_ROLE_LINE,
        adapter: Adapter | None = None,
        context: int = 0,
    ) -> None:
        self.name = checkpoint
        self.adapter = adapter
        self.structured = structured
        self.instruction, self.role_line = instruction, role_line
        self.servers = Servers(urls, key=key)
        self.model, found = (
            (adapter.name, put_on(adapter, self.servers)) if adapter else _served(checkpoint, self.servers)
        )
        self.servers.keep(found)
        # the servers' max_model_len
        told = self.servers.context()
        self.context: int | None = min(told, context or told) if told else context or None
        self._counter = TokenCounter(adapter.base if adapter else checkpoint, self.model, self.servers)
        self._pool = ThreadPoolExecutor(in_flight, thread_name_prefix="guard-request")

    def generate(self, samples: Sequence[Sample], decoding: Decoding) -> list[list[Rollout]]:
        """Return `decoding.n` rollouts per sample, in input order.

        Raises EngineError, or OSError for a missing frame.
        """
        # all greedy rollouts of a sample are equal
        if decoding.temperature == 0 and decoding.n > 1:
            return [group * decoding.n for group in self.generate(samples, replace(decoding, n=1))]
        return self._all([self._pool.submit(self._ask, sample, decoding) for sample in samples], decoding)

    def continue_from(self, samples: Sequence[Sample], prefixes: Sequence[str], decoding: Decoding) -> list[Rollout]:
        """Return one rollout per sample. Its completion starts with `prefixes[i]`, which is kept in `completion`."""
        one = replace(decoding, n=1)
        asked = [
            self._pool.submit(self._ask, sample, one, prefix) for sample, prefix in zip(samples, prefixes, strict=True)
        ]
        return [group[0] for group in self._all(asked, decoding)]

    def _all(self, asked: Sequence[Future[list[Rollout]]], decoding: Decoding) -> list[list[Rollout]]:
        """Wait for the answers while they are wanted. What a server has begun, it ends by itself."""
        try:
            if decoding.wanted is always:
                return [future.result() for future in asked]
            while wait(asked, ASK_EVERY_S).not_done:
                if not decoding.wanted():
                    raise NobodyWaits(NobodyWaits.__doc__)
            return [future.result() for future in asked]
        finally:
            for future in asked:
                future.cancel()

    def prompt_tokens(self, sample: Sample) -> int:
        """As in `MeasuringEngine`."""
        messages = chat_messages(harmless(sample), instruction=self.instruction, role_line=self.role_line)
        texts = [part["text"] for message in messages for part in message["content"] if part["type"] == "text"]
        return self._counter.count(texts, sample.media)

    def _ask(self, sample: Sample, decoding: Decoding, prefix: str | None = None) -> list[Rollout]:
        if not decoding.wanted():
            raise NobodyWaits(NobodyWaits.__doc__)
        messages = self._messages(sample)
        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "n": decoding.n,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "max_tokens": decoding.max_new_tokens,
            "seed": decoding.seed,
            "logprobs": True,
            "top_logprobs": TOP_TOKENS,
            "repetition_penalty": 1.0,
            "top_k": 0,
            **_video_arguments(sample),
        }
        if prefix is not None:
            messages.append({"role": "assistant", "content": prefix})
            body |= {"add_generation_prompt": False, "continue_final_message": True}
        elif self.structured:
            body["structured_outputs"] = {"regex": RESULT_LAYOUT}
        choices = self._post(body)["choices"]
        return [
            self._rollout(sample, choice, prefix or "")
            for choice in sorted(choices, key=lambda choice: int(choice["index"]))
        ]

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.servers.post(CHAT, body)
        except ServerRefused as error:
            if self.adapter is None or error.status != NOT_KNOWN:
                raise
        # a restarted server has lost the adapter
        put_on(self.adapter, self.servers)
        return self.servers.post(CHAT, body)

    def _rollout(self, sample: Sample, choice: dict[str, Any], prefix: str) -> Rollout:
        tokens = [WrittenToken.of(row) for row in (choice.get("logprobs") or {}).get("content") or []]
        completion = prefix + (choice["message"]["content"] or "")
        scores = label_scores(completion, len(prefix), tokens)
        return Rollout(
            completion=completion,
            judgement=parse_answer(completion, sample),
            tokens=len(tokens),
            finished=choice["finish_reason"] == "stop",
            prompt_score=scores.prompt,
            response_score=scores.response,
        )

    def _messages(self, sample: Sample) -> list[dict[str, Any]]:
        media = iter(sample.media)
        return [
            {
                "role": message["role"],
                "content": [
                    {"type": "text", "text": part["text"]} if part["type"] == "text" else _medium_part(next(media))
                    for part in message["content"]
                ],
            }
            for message in chat_messages(harmless(sample), instruction=self.instruction, role_line=self.role_line)
        ]


def _served(checkpoint: str, servers: Servers) -> tuple[str, list[str]]:
    """Return the model name of the checkpoint and the addresses that serve it.

    A server may name it by the last part of its path.
    """
    served = servers.models()
    for wanted in (checkpoint, Path(checkpoint).name):
        names = {url: by_name[wanted] for url, by_name in served.items() if wanted in by_name}
        # a request may go to any address, so all must use the same name
        if names:
            name = next(iter(names.values()))
            return name, [url for url, known in names.items() if known == name]
    what = (
        "; ".join(f"{url} serves {', '.join(sorted(names))}" for url, names in served.items()) or "none of them answers"
    )
    raise CheckpointNotUsable(f"{checkpoint} is served by none of {', '.join(servers.urls)}: {what}.")


def _medium_part(medium: SeenMedia) -> dict[str, Any]:
    """Frames are sent as the lossless files they are; vLLM's name for a video as a list of frames is video/jpeg."""
    encoded = [base64.b64encode(frame.path.read_bytes()).decode() for frame in medium.frames]
    if medium.kind is MediaKind.IMAGE:
        mime = mimetypes.guess_type(medium.frames[0].path.name)[0] or "image/png"
        return {"type": "image_url", "image_url": {"url": f"data:{mime};base64,{encoded[0]}"}}
    return {"type": "video_url", "video_url": {"url": f"data:video/jpeg;base64,{','.join(encoded)}"}}


def _video_arguments(sample: Sample) -> dict[str, Any]:
    """Pass the true timestamps, which requires a server started with --trust-request-mm-kwargs.

    They belong to the request rather than to a video, so a request can have at most one video.
    """
    videos = [medium for medium in sample.media if medium.kind is MediaKind.VIDEO]
    if not videos:
        return {}
    if len(videos) > 1:
        raise EngineError(f"Sample {sample.id} has {len(videos)} videos; a server of the guard takes one.")
    clock = clock_of(videos[0])
    return {
        "media_io_kwargs": {
            "video": {
                "num_frames": -1,
                "fps": MILLISECONDS,
                "total_num_frames": clock.total_frames,
                "duration": clock.duration_s,
                "frames_indices": list(clock.indices),
            }
        }
    }
