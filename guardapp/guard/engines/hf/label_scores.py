"""Confidence of a guard in its labels: P(harmful) against P(unharmful) at the first token of each label."""

from collections.abc import Sequence
from typing import Any

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
from transformers import LogitsProcessor

from guardapp.guard.label_scores import LabelScores
from guardapp.guard.parsing import label_positions
from guardapp.guard.taxonomy import Harmfulness


class LabelReader:
    """Find the tokens that distinguish " harmful" from " unharmful" after each field, and their positions.

    `watched` holds their ids, shape (4,): harmful and unharmful of the prompt label, then of the response label.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.watched = torch.tensor([*_telling_tokens(tokenizer, "Request"), *_telling_tokens(tokenizer, "Response")])

    def scores(
        self, completion: str, prefix: Sequence[int], written: Sequence[int], watched: torch.Tensor
    ) -> LabelScores:
        """Score a completion, the text of `prefix + written`; `watched` has shape (at least len(written), 4)."""
        spans = label_positions(completion)
        tokens = [*prefix, *written]

        def score(span: tuple[int, int] | None, columns: slice) -> float | None:
            if span is None:
                return None
            step = self._token_at(tokens, span[0]) - len(prefix)
            if not 0 <= step < len(written):
                return None
            return float(torch.softmax(watched[step, columns], dim=0)[0])

        return LabelScores(score(spans.prompt, slice(0, 2)), score(spans.response, slice(2, 4)))

    def _token_at(self, tokens: Sequence[int], character: int) -> int:
        """Return the index of the token that contains the character, by bisecting on the decoded length."""
        low, high = 1, len(tokens)
        while low < high:
            middle = (low + high) // 2
            if len(self.tokenizer.decode(tokens[:middle], skip_special_tokens=True)) > character:
                high = middle
            else:
                low = middle + 1
        return low - 1


def _telling_tokens(tokenizer: Any, field: str) -> tuple[int, int]:
    """The first tokens in which "<field>: harmful" and "<field>: unharmful" differ, as tokenized."""
    harmful, unharmful = (
        tokenizer(f"<result>\n{field}: {label}\n", add_special_tokens=False)["input_ids"]
        for label in (Harmfulness.HARMFUL, Harmfulness.UNHARMFUL)
    )
    return next((one, other) for one, other in zip(harmful, unharmful, strict=False) if one != other)


class Recorder(LogitsProcessor):  # type: ignore[misc]
    """Record the logits of the few label tokens at each step, instead of the whole vocabulary's.

    transformers runs it before temperature and top_p, so these are the model's raw logits.
    """

    def __init__(self, token_ids: torch.Tensor) -> None:
        self.token_ids = token_ids
        self.steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.steps.append(scores[:, self.token_ids].float())
        return scores

    def watched(self) -> torch.Tensor:
        """The recorded logits on the CPU, shape (completions, steps, watched tokens)."""
        return torch.stack(self.steps, dim=1).cpu()
