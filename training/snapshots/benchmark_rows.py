"""Rows of registered benchmarks, read from their files."""

import json
from collections.abc import Iterator
from typing import Any

from training.files import file_of
from training.models import Benchmark


def rows_of(benchmark: Benchmark) -> Iterator[dict[str, Any]]:
    """Snapshot rows (training.learning.rows), plus "refusal" if labelled, and "keys" that link to near-copies."""
    with file_of(benchmark.snapshot).open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def benchmark_keys() -> frozenset[str]:
    """The link keys of all benchmarks' rows."""
    return frozenset(
        key
        for benchmark in Benchmark.objects.select_related("snapshot")
        for row in rows_of(benchmark)
        for key in row["keys"]
    )
