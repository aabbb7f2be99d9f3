"""Read rows of a benchmark: {"id", "prompt", "response", "media", "prompt_label", …}.

The shape is the dataset row of annotation.ingest.read_rows, with the labels "prompt_label", "response_label" and
"refusal_label", and "categories".
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from annotation.ingest.read_media import MediaFinder, files_in_folder, no_files
from annotation.ingest.read_rows import DATASET_FIELDS, LABELS, read_row
from annotation.ingest.values import FieldError, RowProblem
from guardapp.guard.taxonomy import Harmfulness, Refusal, Task
from guardapp.guard.verdict import ContextMessage, Verdict
from training.corpora.records import Record, records
from training.corpora.values import BadRow, ImportedMedium, ImportedRow

FIELD_BY_TASK = {Task.PROMPT: "prompt_label", Task.RESPONSE: "response_label", Task.REFUSAL: "refusal_label"}
VALUES = {"prompt_label": Harmfulness, "response_label": Harmfulness, "refusal_label": Refusal}
SHOWN = 100  # characters of a value in an error message


def task_of(path: Path) -> Task:
    """Infer the task of a file: response if any row labels one, else refusal, else prompt.

    Raises FileNotReadable.
    """
    labelled = Counter(
        task
        for record in records(path)
        if isinstance(record.value, dict)
        for task, field in FIELD_BY_TASK.items()
        if record.value.get(field)
    )
    return next((task for task in (Task.RESPONSE, Task.REFUSAL) if labelled[task]), Task.PROMPT)


def benchmark_rows(path: Path, *, task: Task, media_root: Path | None) -> Iterator[ImportedRow | BadRow]:
    """Stream a file. A row with a repeated id or without a label for the task is bad.

    Raises FileNotReadable, also after yielding rows.
    """
    find = files_in_folder(media_root) if media_root is not None else no_files
    seen: set[str] = set()
    for record in records(path):
        row = read_benchmark_row(record, task=task, find=find)
        if isinstance(row, ImportedRow):
            if row.id in seen:
                row = BadRow(
                    record.place, (FieldError("/id", f"is {row.id!r}, which an earlier row has."),), record.value
                )
            else:
                seen.add(row.id)
        yield row


def read_benchmark_row(record: Record, *, task: Task, find: MediaFinder) -> ImportedRow | BadRow:
    """Validate one record. Never raises, whatever the row contains."""
    if record.problem:
        return BadRow(record.place, (FieldError("", record.problem),), record.text)
    value = record.value
    if not isinstance(value, dict):
        return BadRow(record.place, (FieldError("", "is not an object."),), value)
    if not value.get("id"):
        return BadRow(record.place, (FieldError("/id", "is missing."),), value)
    item = read_row({name: value[name] for name in DATASET_FIELDS & value.keys()}, find=find)
    errors = [*item.errors] if isinstance(item, RowProblem) else []
    errors += [
        FieldError(f"/{name}", f"is {str(value[name])[:SHOWN]!r}. Known here: {', '.join(VALUES[name])}, or null.")
        for name in LABELS
        if value.get(name) is not None and value[name] not in list(VALUES[name])
    ]
    if not value.get(FIELD_BY_TASK[task]):
        errors.append(FieldError(f"/{FIELD_BY_TASK[task]}", "is missing: this benchmark scores it."))
    if errors or isinstance(item, RowProblem):
        return BadRow(record.place, tuple(errors), value)
    categories = [name for name in value.get("categories") or () if isinstance(name, str)]
    refusal = value.get("refusal_label")
    return ImportedRow(
        place=record.place,
        id=item.external_id,
        prompt=item.prompt,
        response=item.response,
        verdict=Verdict(
            prompt=_harmfulness(value.get("prompt_label")),
            response=_harmfulness(value.get("response_label")),
            categories=tuple(categories),
        ),
        media=tuple(ImportedMedium(medium) for medium in item.media),
        context=tuple(ContextMessage.of(message) for message in item.messages),
        extra={"refusal": refusal} if refusal else {},
        value=value,
    )


def _harmfulness(label: str | None) -> Harmfulness | None:
    return Harmfulness(label) if label else None
