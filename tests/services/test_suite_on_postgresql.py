"""The same tests of items, reviews and pages, once more on the team's database."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALONE = ("test_moderation_served.py", "test_tracing.py")  # they start the product's own processes, on a database of their own
# a thread of the live server ends with its connection open, and the connection says so
LEFT_OPEN = r"ignore:Exception ignored in. <function BaseConnection.__del__:pytest.PytestUnraisableExceptionWarning"


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.timeout(1_560)
def test_the_tests_of_annotation_and_training_hold_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", LEFT_OPEN,
         "tests/annotation", "tests/training/test_snapshots.py", "tests/training/test_promotion.py", "tests/training/test_views.py",
         *(f"--ignore=tests/annotation/{name}" for name in ALONE)],
        cwd=ROOT, env={**environment, "DATABASE_URL": postgres_url, "GUARDAPP_DATA": str(tmp_path)}, capture_output=True, text=True,
        timeout=1_500, check=False)
    assert done.returncode == 0, done.stdout[-4_000:]
