"""The stack that faults are done to. Assertions of the helpers show their values, too."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.faults.traffic", "tests.faults.stack", "tests.faults.servers")

from tests.faults.disks import Disk, small_disk  # noqa: E402
from tests.faults.stack import Stack  # noqa: E402


@pytest.fixture(scope="module")
def skew(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return None
    library = Path(tempfile.mkdtemp(prefix="gf-")) / "skewed_clock.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", str(library), str(Path(__file__).with_name("skewed_clock.c")), "-ldl"],
        check=True,
    )
    return library


@pytest.fixture(scope="module")
def parts(skew: Path | None) -> Iterator[tuple[Stack, Disk | None, Disk | None]]:
    """The stack, the disk of its database and that of its media; None where none can be mounted."""
    stack = Stack(skew)
    with ExitStack() as mounted:
        mounted.callback(shutil.rmtree, stack.folder, ignore_errors=True)
        disks = (
            [
                mounted.enter_context(small_disk(folder, megabytes))
                for folder, megabytes in ((stack.folder / "database", 96), (stack.site.folder / "media", 8))
            ]
            if os.getuid() == 0
            else [None, None]
        )
        try:
            stack.start(stack.folder / "database" / "pg" if disks[0] else None)
            yield stack, disks[0], disks[1]
        finally:
            stack.stop()


@pytest.fixture
def stack(parts: tuple[Stack, Disk | None, Disk | None]) -> Stack:
    return parts[0]
