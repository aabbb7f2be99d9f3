"""A row of a snapshot: the only dataset format that jobs read. Independent of Django."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from guardapp.guard.taxonomy import DEFAULT_CODES, Harmfulness, MediaKind
from guardapp.guard.verdict import ContextMessage, Frame, Sample, SeenMedia, Verdict

NAMED = 20  # rows left out as too long that a result names
FIELDS = frozenset(
    {
        "id",
        "split",
        "group",
        "modality",
        "prompt",
        "response",
        "media",
        "completion",
        "labels",
        "categories",
        "source",
        "target_source",
        "weight",
        "policy",
        "codes",
        "context",
    }
)


class RowNotReadable(ValueError):
    """A line of the snapshot is not a row; the message names the line and the field."""


class RowsShareAnId(ValueError):
    """Two rows of the dataset share an id, which would make their results ambiguous; the message names it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A sample with its gold verdict and, for training, its target completion.

    As JSON: {"id", "split": "train"|"holdout", "group", "modality", "prompt", "response", "media": [{"kind", "fps",
    "frames": [{"path", "timestamp_s"}]}], "completion", "labels": {"prompt", "response"}, "categories", "source",
    "target_source", "weight", "policy": the policy text, only if the guard is given one, "codes": the category codes
    recognised in completions, only if they are not the built-in ones, "context": [{"role", "text", "media": how many of
    the row's first media}], only for conversations}. Frame paths are relative to the media root.
    Further fields of a line are kept in `extra`.
    """

    sample: Sample
    verdict: Verdict
    completion: str  # "" if the row is only for evaluation
    split: str = "train"
    group: str = ""
    source: str = ""
    target_source: str = ""
    weight: float = 1.0
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def is_graded(self) -> bool:
        """Whether the row has a gold label for grading completions."""
        return self.verdict.prompt is not None or (
            self.verdict.response is not None and self.sample.response is not None
        )

    def as_json(self, media_root: Path) -> dict[str, Any]:
        return {
            "id": self.sample.id,
            "split": self.split,
            "group": self.group,
            "modality": self.sample.modality.value,
            "prompt": self.sample.prompt,
            "response": self.sample.response,
            "media": [
                {
                    "kind": medium.kind.value,
                    "fps": medium.fps,
                    "frames": [
                        {"path": str(frame.path.relative_to(media_root)), "timestamp_s": frame.timestamp_s}
                        for frame in medium.frames
                    ],
                }
                for medium in self.sample.media
            ],
            "completion": self.completion,
            "labels": {"prompt": self.verdict.prompt, "response": self.verdict.response},
            "categories": list(self.verdict.categories),
            "source": self.source,
            "target_source": self.target_source,
            "weight": self.weight,
            **({} if self.sample.policy_text is None else {"policy": self.sample.policy_text}),
            **({} if self.sample.codes == DEFAULT_CODES else {"codes": sorted(self.sample.codes)}),
            **({"context": [asdict(one) for one in self.sample.context]} if self.sample.context else {}),
            **self.extra,
        }


def row_from_json(value: dict[str, Any], media_root: Path) -> Row:
    """Convert JSON to a row. Raises KeyError or ValueError for a missing field or an unknown value."""
    labels = value["labels"]
    media = tuple(
        SeenMedia(
            kind=MediaKind(medium["kind"]),
            fps=medium.get("fps"),
            frames=tuple(Frame(media_root / frame["path"], frame["timestamp_s"]) for frame in medium["frames"]),
        )
        for medium in value.get("media") or ()
    )
    return Row(
        sample=Sample(
            id=value["id"],
            prompt=value["prompt"] or "",
            response=value["response"],
            media=media,
            policy_text=value.get("policy"),
            codes=frozenset(value.get("codes", DEFAULT_CODES)),
            context=tuple(ContextMessage(**message) for message in value.get("context") or ()),
        ),
        verdict=Verdict(
            prompt=Harmfulness(labels["prompt"]) if labels.get("prompt") else None,
            response=Harmfulness(labels["response"]) if labels.get("response") else None,
            categories=tuple(value.get("categories") or ()),
        ),
        completion=value.get("completion", ""),
        split=value.get("split", "train"),
        group=value.get("group", ""),
        source=value.get("source", ""),
        target_source=value.get("target_source", ""),
        weight=value.get("weight", 1.0),
        extra={name: content for name, content in value.items() if name not in FIELDS},
    )


def read_rows(path: Path, media_root: Path, *, split: str = "") -> Iterator[Row]:
    """Stream the rows of a snapshot, of one split or of all. Raises RowNotReadable."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = row_from_json(json.loads(line), media_root)
            except (KeyError, ValueError, TypeError) as error:
                raise RowNotReadable(f"{path.name}, line {number}: {type(error).__name__}: {error}") from error
            if not split or row.split == split:
                yield row


def by_id(rows: Iterable[Row], dataset: str) -> dict[str, Row]:
    """Return the rows by id, in the given order. Raises RowsShareAnId."""
    found: dict[str, Row] = {}
    for row in rows:
        if row.sample.id in found:
            raise RowsShareAnId(f"{dataset}: two rows have the id {row.sample.id}.")
        found[row.sample.id] = row
    return found
