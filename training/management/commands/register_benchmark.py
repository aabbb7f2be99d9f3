"""`manage.py register_benchmark PATH`: register a file, a folder of files, or a data set with a manifest."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from guardapp.guard.taxonomy import Task
from training.benchmarks.register import BenchmarkFacts, register_benchmark
from training.corpora.benchmark_rows import benchmark_rows
from training.corpora.manifest import BenchmarkFile, benchmark_files
from training.corpora.records import FileNotReadable
from training.corpora.report import ImportReport
from training.errors import TrainingError
from training.management.bad_rows import print_bad_rows
from training.management.lead import add_by, lead_named


class Command(BaseCommand):
    help = "Register benchmarks for evaluating guards. Safe to repeat: existing benchmarks are not changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path)
        parser.add_argument("--name", help="name of a single file's benchmark (default: the file's name)")
        parser.add_argument(
            "--task",
            choices=[task.value for task in Task],
            help="what is scored (default: response, else refusal, else prompt, as the rows are labelled)",
        )
        parser.add_argument("--licence", help="default: the manifest's")
        parser.add_argument(
            "--over-refusal", action="store_true", help="its negative rows are written to look positive"
        )
        add_by(parser)

    def handle(self, *args: Any, path: Path, by: str | None, **options: Any) -> None:
        person, failed = lead_named(by), []
        try:
            files = list(benchmark_files(path))
        except FileNotReadable as error:
            raise CommandError(str(error)) from error
        if options["name"] and len(files) > 1:
            raise CommandError(f"{path} holds {len(files)} benchmarks: --name is for one.")
        for file in files:
            report = ImportReport()
            facts = _facts(file, options)
            rows = benchmark_rows(file.path, task=facts.task, media_root=file.media_root)
            try:
                made = register_benchmark(facts=facts, rows=rows, created_by=person, report=report)
            except (TrainingError, FileNotReadable) as error:
                failed.append(facts.name)
                self.stderr.write(f"{facts.name}: {error}")
            else:
                self.stdout.write(
                    f"{made.name}: {made.rows:,} rows, {made.task}, {made.modality}, positive class "
                    f"{made.positive_class}, "
                    f"{report.bad_count:,} bad" + ("" if report.rows else " (was registered)")
                )
            print_bad_rows(report, self.stderr)
        if failed:
            raise CommandError(f"Not registered: {', '.join(failed)}.")


def _facts(file: BenchmarkFile, options: dict[str, Any]) -> BenchmarkFacts:
    return BenchmarkFacts(
        name=options["name"] or file.name,
        task=Task(options["task"] or file.task),
        source_sha256=file.sha256,
        licence=options["licence"] or file.licence,
        over_refusal=options["over_refusal"] or file.over_refusal,
    )
