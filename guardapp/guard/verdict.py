"""The core values: Sample in, Judgement and Rollout out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from guardapp.guard.taxonomy import DEFAULT_CODES, Harmfulness, MediaKind, Modality, Refusal


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture that the guard saw: a lossless file and its time in the source, in seconds (0.0 for an image)."""

    path: Path
    timestamp_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SeenMedia:
    """Media as the guard sees them: decoded, sampled and resized frames in order (one for an image).

    `unseen` is the number of pages or pictures in the file of an image that are not seen.
    """

    kind: MediaKind
    frames: tuple[Frame, ...]
    fps: float | None = None  # of the sampled frames; None for an image
    unseen: int = 0


@dataclass(frozen=True, slots=True)
class ContextMessage:
    """A message that came before the judged exchange. `media` is the number of its images and videos."""

    role: str  # system, user, assistant or tool
    text: str = ""
    media: int = 0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Read a stored message, whose media are named by their positions."""
        return cls(row["role"], row["text"], len(row.get("media") or ()))


@dataclass(frozen=True, slots=True)
class Sample:
    """The guard's input: the person's prompt, the assistant's response or None, and media.

    `context` is what came before them. The first media belong to it, in the order of its messages.

    `policy_text` is the policy for guards that take one in the prompt; None for all others, including released
    checkpoints. `codes` are the category codes recognised in completions of this sample.
    """

    id: str
    prompt: str = ""
    response: str | None = None
    media: tuple[SeenMedia, ...] = ()
    policy_text: str | None = None
    codes: frozenset[str] = DEFAULT_CODES
    context: tuple[ContextMessage, ...] = ()

    @property
    def modality(self) -> Modality:
        return modality_of(self.prompt, [medium.kind for medium in self.media])

    def without_oldest(self, count: int) -> Self:
        """The sample without its oldest messages of the context and their media."""
        media = sum(message.media for message in self.context[:count])
        return replace(self, context=self.context[count:], media=self.media[media:])


def modality_of(prompt: str, kinds: list[MediaKind]) -> Modality:
    """Return what a sample contains. Video takes precedence over image; an image with a prompt is text-image."""
    if MediaKind.VIDEO in kinds:
        return Modality.VIDEO
    if MediaKind.IMAGE in kinds:
        return Modality.TEXT_IMAGE if prompt.strip() else Modality.IMAGE
    return Modality.TEXT


@dataclass(frozen=True, slots=True)
class Verdict:
    """The labels. None means no label: the task does not apply, or the guard wrote None."""

    prompt: Harmfulness | None = None
    response: Harmfulness | None = None
    refusal: Refusal | None = None
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """Reasoning, as an ordered tuple of steps, and the verdict."""

    steps: tuple[str, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a sample: characters [start, end) of the prompt and of the response; None: none of the response.

    `left_out` is how many of the oldest messages of its context it is judged without.
    """

    prompt: tuple[int, int]
    response: tuple[int, int] | None = None
    left_out: int = 0

    def of(self, sample: "Sample") -> "Sample":
        """The sample cut down to this part, with all media but those of messages left out."""
        sample = sample.without_oldest(self.left_out) if self.left_out else sample
        response = None if self.response is None else (sample.response or "")[slice(*self.response)]
        return replace(sample, prompt=sample.prompt[slice(*self.prompt)], response=response)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One completion. If it does not parse, `judgement` is None: a bad rollout is data, not a crash.

    Of a sample judged in windows: labels, categories and scores are those of all windows; completion and steps are
    those of `parts[decisive]`.
    """

    completion: str
    judgement: Judgement | None
    tokens: int
    finished: bool = True  # False: cut at max_new_tokens
    # P(harmful) relative to P(unharmful) at the label's first token, 0 to 1; None if no label was read
    prompt_score: float | None = None
    response_score: float | None = None
    # the windows of a sample longer than the guard's context, in order; empty for any other
    parts: "tuple[tuple[Window, Rollout], ...]" = ()
    decisive: int = 0  # place in `parts`


def always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Decoding:
    """Sampling parameters. Temperature 0 is greedy. The defaults are those of the released checkpoints.

    `wanted` is asked between tokens; once it is false, generation ends with NobodyWaits.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    n: int = 1
    max_new_tokens: int = 4096
    seed: int = 0
    wanted: Callable[[], bool] = field(default=always, compare=False)


GREEDY = Decoding()


@dataclass(frozen=True, slots=True)
class MediaPreset:
    """How media become frames: sampling rate, frame count and pixel budget (pixels = width x height)."""

    name: str
    fps: float = 2.0
    max_frames: int = 128
    min_frames: int = 1
    max_pixels_per_frame: int = 65_536
    min_pixels_per_frame: int = 4_096
    image_max_pixels: int = 589_824
    image_min_pixels: int = 4_096
    # both sides are rounded to a multiple of this: patch size x merge size of the base model
    size_multiple: int = 32
    extra: dict[str, str] = field(default_factory=dict)
