"""Console output of the import commands."""

from django.core.management.base import OutputWrapper

from training.corpora.report import ImportReport

SHOWN = 20


def print_bad_rows(report: ImportReport, stderr: OutputWrapper) -> None:
    for row in report.bad[:SHOWN]:
        stderr.write(f"{row.place}: {row.words}")
    if report.bad_count > SHOWN:
        stderr.write(f"… and {report.bad_count - SHOWN:,} further bad rows.")
