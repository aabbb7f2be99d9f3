"""The same tests of items, reviews and pages, once more on the team's database."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.timeout(1_560)
def test_the_tests_of_annotation_and_training_hold_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    # it is a run of its own, which shares nothing with the workers of this one
    strange = ("PROMETHEUS_MULTIPROC_DIR", "PYTEST_XDIST_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/annotation",
            "tests/cases",
            "tests/attacks",
            "tests/training/snapshots/test_create.py",
            "tests/training/versions/test_promotion.py",
            "tests/training/pages/test_home.py",
            # its processes and threads have connections of their own, which outlive a test
            "--ignore=tests/annotation/moderation/test_guard_process.py",
        ],
        cwd=ROOT,
        env={**environment, "DATABASE_URL": postgres_url, "GUARDAPP_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=1_500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4_000:]
