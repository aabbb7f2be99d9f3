"""`manage.py import_corpus FILE --name NAME`: import a published corpus as a snapshot for training."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.predictions.active_policy import policy_codes
from training.corpora.corpus_rows import CorpusKind, corpus_rows
from training.corpora.import_corpus import HOLDOUT_SHARE, import_corpus
from training.corpora.manifest import media_root_near
from training.corpora.records import FileNotReadable
from training.corpora.report import ImportReport
from training.errors import TrainingError
from training.files import file_of
from training.management.bad_rows import print_bad_rows
from training.management.lead import add_by, lead_named


class Command(BaseCommand):
    help = (
        "Import a corpus (JSON lines, a JSON array or parquet, plain or .gz) of ShareGPT rows or preference "
        "rows as a snapshot."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--name", required=True, help="name of the snapshot")
        parser.add_argument("--kind", choices=[kind.value for kind in CorpusKind], default=CorpusKind.SFT.value)
        parser.add_argument(
            "--media-root",
            type=Path,
            help="folder that the media paths start from (default: the nearest with a media folder)",
        )
        parser.add_argument(
            "--holdout", type=float, default=HOLDOUT_SHARE, help="share of the rows to hold out, 0 to below 1"
        )
        add_by(parser)

    def handle(
        self,
        *args: Any,
        file: Path,
        name: str,
        kind: str,
        media_root: Path | None,
        holdout: float,
        by: str | None,
        **options: Any,
    ) -> None:
        if not file.is_file():
            raise CommandError(f"There is no file {file}.")
        if not 0 <= holdout < 1:
            raise CommandError("--holdout must be at least 0 and below 1.")
        report = ImportReport(progress=self._show)
        rows = corpus_rows(
            file,
            name=name,
            kind=CorpusKind(kind),
            media_root=media_root or media_root_near(file),
            codes=policy_codes(None),
        )
        try:
            snapshot = import_corpus(
                rows=rows, name=name, kind=kind, created_by=lead_named(by), report=report, holdout_share=holdout
            )
        except (TrainingError, FileNotReadable) as error:
            raise CommandError(str(error)) from error
        finally:
            print_bad_rows(report, self.stderr)
        counts = snapshot.counts
        self.stdout.write(
            f"{snapshot.name}: {counts['train']:,} rows to train on, {counts['holdout']:,} held out, "
            f"{report.bad_count:,} bad, {report.dropped.total():,} left out."
        )
        for reason, count in [*report.dropped.items(), *counts["notes"].items()]:
            self.stdout.write(f"  {count:,} {reason}")
        if report.bad_count:
            self.stdout.write(f"The bad rows, as they stand: {file_of(snapshot).with_name(counts['bad_path'])}")

    def _show(self, report: ImportReport) -> None:
        self.stdout.write(f"{report.rows:,} rows …", ending="\r" if self.stdout.isatty() else "\n")
