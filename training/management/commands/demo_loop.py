"""`manage.py demo_loop`: run the whole loop unattended, in a temporary data folder."""

import json
import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from annotation.errors import ServiceError
from training.installation.demo_loop import DemoFailed, run_loop
from training.installation.demo_rows import NotEnoughRows, demo_rows

KEPT = (
    "GUARDAPP_REFERENCE_DATA",
    "GUARDAPP_DEVICE",
    "GUARDAPP_THREADS",
    "GUARDAPP_ROLLOUTS",
    "GUARDAPP_BATCH",
    "GUARDAPP_MAX_NEW_TOKENS",
)


class Command(BaseCommand):
    help = (
        "Ingest, predict, review by gold labels, snapshot, fine-tune, evaluate, promote and export; the last line "
        "is one JSON object "
        "with F1 before and after on rows that no review touched."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--rows", type=int, default=400, help="rows to review; the same number is used for measurement"
        )
        parser.add_argument("--keep", type=Path, help="work in this empty folder, and keep it")
        parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the run")
        parser.add_argument(
            "--here", action="store_true", help="use this installation's data folder, which must be empty"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        if options["here"]:
            self._loop(options)
        elif options["keep"]:
            self._in_folder(options["keep"], options)
        else:
            with tempfile.TemporaryDirectory(prefix="guardapp-demo-") as folder:
                self._in_folder(Path(folder), options)

    def _in_folder(self, folder: Path, options: dict[str, Any]) -> None:
        """Run the command with settings that see only this folder, so that the installation's data are not touched."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if name in KEPT or (not name.startswith("GUARDAPP_") and name not in ("DATABASE_URL", "REDIS_URL"))
        }
        environment |= {"GUARDAPP_DATA": str(folder), "GUARDAPP_SETTLE_SECONDS": "0", "GUARDAPP_LOG_LEVEL": "WARNING"}
        command = [
            sys.executable,
            str(settings.BASE_DIR / "manage.py"),
            "demo_loop",
            "--here",
            "--rows",
            str(options["rows"]),
            *(f"--set={pair}" for pair in options["set"]),
        ]
        code = subprocess.run(command, env=environment, cwd=settings.BASE_DIR, check=False).returncode  # noqa: S603
        if code:
            raise CommandError(f"The loop ended with {code}; see its output above.")

    def _loop(self, options: dict[str, Any]) -> None:
        reference = Path(os.environ.get("GUARDAPP_REFERENCE_DATA") or settings.BASE_DIR.parent / "shared" / "data")
        call_command("migrate", verbosity=0)
        try:
            rows = demo_rows(reference, options["rows"])
            print(
                f"          domain | {rows.domain}: {len(rows.reviewed)} rows to review, "
                f"{len(rows.untouched)} untouched",
                flush=True,
            )
            report = run_loop(
                rows, work=Path(settings.DATA_DIR), overrides=dict(_setting(pair) for pair in options["set"]), echo=echo
            )
        except (DemoFailed, NotEnoughRows, ServiceError) as error:
            raise CommandError(str(error)) from error
        print(json.dumps(report), flush=True)


def echo(line: str) -> None:
    print(line, flush=True)


def _setting(pair: str) -> tuple[str, Any]:
    name, _, value = pair.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
