"""Where the reference data lies: the folder of GUARDAPP_REFERENCE_DATA, by default ../shared/data beside the
repository.
"""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.paths import REFERENCE_DATA

needs_reference_data = pytest.mark.skipif(
    not REFERENCE_DATA.is_dir(), reason=f"no reference data at {REFERENCE_DATA}; set GUARDAPP_REFERENCE_DATA"
)


def read_lines(relative: str) -> Iterator[dict[str, Any]]:
    with gzip.open(REFERENCE_DATA / relative, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def reference(name: str) -> Any:
    """A table of numbers to reproduce; empty where there is no data, so that a module still imports."""
    path = REFERENCE_DATA / "reference" / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
