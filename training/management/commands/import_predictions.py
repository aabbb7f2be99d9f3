"""`manage.py import_predictions FILE …`: import and score other guards' completions on benchmarks."""

from argparse import ArgumentParser
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.models import User
from guardapp.guard.measures.scores import percent
from training.benchmarks.others_outputs import GRAMMARS, import_outputs
from training.corpora.manifest import sha256_of
from training.corpora.output_rows import OutputRow, output_rows
from training.corpora.records import FileNotReadable
from training.corpora.report import ImportReport
from training.errors import TrainingError
from training.management.bad_rows import print_bad_rows
from training.management.lead import add_by, lead_named
from training.models import Benchmark, ImportedOutputs

# Rows read to find the benchmark and the guard that a file names.
FIRST_ROWS = 100


class Command(BaseCommand):
    help = "Import another guard's completions on registered benchmarks and score them. Safe to repeat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
        parser.add_argument("--benchmark", help="name of the registered benchmark (default: as stated in the rows)")
        parser.add_argument("--guard", help='display name, e.g. "GuardReasoner 8B" (default: as stated in the rows)')
        parser.add_argument(
            "--grammar",
            choices=list(GRAMMARS),
            default="v0",
            help="v0: GuardReasoner 1B, 3B, 8B; omni: GuardReasoner-VL and -Omni",
        )
        add_by(parser)

    def handle(self, *args: Any, files: list[Path], by: str | None, **options: Any) -> None:
        person, failed = lead_named(by), []
        for file in files:
            report = ImportReport()
            try:
                made = self._import(file, person, report, options)
            except (TrainingError, FileNotReadable, CommandError) as error:
                failed.append(file.name)
                self.stderr.write(f"{file.name}: {error}")
            else:
                strict, published = made.result["strict"], made.result["published"]
                self.stdout.write(
                    f"{made.guard} on {made.benchmark}: F1 {percent(strict['f1']):.2f} strict, "
                    f"{percent(published['f1']):.2f} as the "
                    f"published scripts count; {strict['n']} rows, {made.result['missing']} without a completion"
                )
            print_bad_rows(report, self.stderr)
        if failed:
            raise CommandError(f"Not imported: {', '.join(failed)}.")

    def _import(self, file: Path, person: User, report: ImportReport, options: dict[str, Any]) -> ImportedOutputs:
        named = [row for row in islice(output_rows(file), FIRST_ROWS) if isinstance(row, OutputRow)]
        name = options["benchmark"] or _one({row.benchmark for row in named}, "benchmark")
        benchmark = Benchmark.objects.select_related("snapshot").filter(name=name).first()
        if benchmark is None:
            raise CommandError(f"no benchmark {name!r} is registered; register it with manage.py register_benchmark.")
        guard = options["guard"] or _one({row.guard for row in named}, "guard")
        return import_outputs(
            benchmark=benchmark,
            guard=guard,
            grammar=options["grammar"],
            rows=output_rows(file),
            source_sha256=sha256_of(file),
            imported_by=person,
            report=report,
        )


def _one(names: set[str], what: str) -> str:
    if len(names) != 1 or "" in names:
        raise CommandError(f"the rows do not all name one {what}: use --{what}.")
    return next(iter(names))
