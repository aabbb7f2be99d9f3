"""The first rows of a snapshot that was not made from reviews, read from its file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from training.files import file_of
from training.models import DatasetSnapshot

SHOWN = 20


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row as stored in the file."""

    id: str
    prompt: str
    modality: str
    split: str
    prompt_label: str | None
    response_label: str | None
    group: str


def first_rows(snapshot: DatasetSnapshot) -> Sequence[FileRow]:
    """Read the first rows; () if the file is missing."""
    try:
        with file_of(snapshot).open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in islice(lines, SHOWN)]
    except FileNotFoundError:
        return ()
    return [
        FileRow(
            row["id"],
            row["prompt"],
            row["modality"],
            row["split"],
            row["labels"]["prompt"],
            row["labels"]["response"],
            row["group"],
        )
        for row in rows
    ]
