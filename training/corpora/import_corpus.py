"""Import a corpus as a snapshot for training, without holding all rows in memory."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_noop

from annotation.models import Event, User
from annotation.status import EventKind
from guardapp.guard.splits import link_keys, side_of_keys
from training.corpora.decode_rows import DecodedRow, decoded_rows
from training.corpora.report import BadRows, ImportReport
from training.corpora.values import BadRow, ImportedRow
from training.errors import NothingToTrainOn, SnapshotNameTaken
from training.models import DatasetSnapshot
from training.snapshots.benchmark_rows import benchmark_keys
from training.snapshots.pinned_file import pin
from training.snapshots.split import SEED, keys_of
from training.status import SnapshotOrigin, Split

HOLDOUT_SHARE = 0.02
PROGRESS_EVERY = 1_000  # rows


@dataclass(slots=True)
class _Tally:
    by_split: Counter[str] = field(default_factory=Counter)
    by_modality: Counter[str] = field(default_factory=Counter)
    by_prompt_label: Counter[str] = field(default_factory=Counter)

    def add(self, row: DecodedRow, side: Split) -> None:
        self.by_split[side.value] += 1
        self.by_modality[row.row.sample.modality.value] += 1
        self.by_prompt_label[str(row.row.verdict.prompt)] += 1


def import_corpus(
    *,
    rows: Iterable[ImportedRow | BadRow],
    name: str,
    kind: str,
    created_by: User,
    report: ImportReport,
    holdout_share: float = HOLDOUT_SHARE,
) -> DatasetSnapshot:
    """Write the rows as a snapshot and count them in `report`. A failure leaves neither a row nor a file.

    Near-copies of rows held out by snapshots of reviews, and of benchmark rows, are dropped: training on them would
    invalidate those measurements. Raises SnapshotNameTaken, NothingToTrainOn or FileNotReadable.
    """
    if DatasetSnapshot.objects.filter(name=name).exists():
        raise SnapshotNameTaken
    folder, tally = Path(settings.SNAPSHOTS_DIR), _Tally()
    with (
        BadRows(folder, report) as bad,
        pin(_lines(decoded_rows(rows, source=name), holdout_share, report, tally, bad), folder) as pinned,
    ):
        if not tally.by_split[Split.TRAIN]:
            raise NothingToTrainOn
        bad_path = f"{pinned.sha256}.bad.jsonl" if report.bad_count else ""
        try:
            with transaction.atomic():
                snapshot = DatasetSnapshot.objects.create(
                    name=name,
                    origin=SnapshotOrigin.CORPUS,
                    sha256=pinned.sha256,
                    path=pinned.name,
                    created_by=created_by,
                    counts=_counts(name, kind, report, tally, bad_path),
                )
                Event.objects.create(
                    kind=EventKind.SNAPSHOT_CREATED, actor=created_by, detail={"snapshot": name, "rows": pinned.rows}
                )
                pinned.place()
                bad.place(bad_path)
        except IntegrityError as error:
            raise SnapshotNameTaken from error
    return snapshot


def _lines(
    rows: Iterable[DecodedRow | BadRow], share: float, report: ImportReport, tally: _Tally, bad: BadRows
) -> Iterator[dict[str, Any]]:
    held_out, benchmarks = keys_of(Split.HOLDOUT), benchmark_keys()
    for row in rows:
        if isinstance(row, BadRow):
            bad.add(row)
        else:
            keys = link_keys(row.row.sample.prompt, row.row.sample.response, row.media_sha256, row.row.sample.context)
            side = side_of_keys(keys, share, SEED)
            if not held_out.isdisjoint(keys):
                report.dropped[gettext_noop("held out by a snapshot of reviews")] += 1
            elif not benchmarks.isdisjoint(keys):
                report.dropped[gettext_noop("stands in a benchmark")] += 1
            elif side is None:
                report.dropped[gettext_noop("its media stand on both sides of the split")] += 1
            else:
                report.taken += 1
                report.notes[gettext_noop("asked with another instruction")] += bool(
                    row.row.extra.get("other_instruction")
                )
                tally.add(row, Split(side.value))
                yield row.row.as_json(Path(settings.MEDIA_ROOT)) | {"split": side.value}
        if report.progress is not None and report.rows % PROGRESS_EVERY == 0:
            report.progress(report)


def _counts(name: str, kind: str, report: ImportReport, tally: _Tally, bad_path: str) -> dict[str, Any]:
    train = tally.by_split[Split.TRAIN]
    return {
        "train": train,
        "holdout": tally.by_split[Split.HOLDOUT],
        "hard": 0,
        "by_modality": dict(tally.by_modality),
        "by_source": {name: report.taken},
        "by_target": {"imported": train},
        "by_prompt_label": dict(tally.by_prompt_label),
        "kind": kind,
        "dropped": dict(report.dropped),
        "bad_rows": report.bad_count,
        "bad_path": bad_path,
        "notes": {note: count for note, count in report.notes.items() if count},
    }
