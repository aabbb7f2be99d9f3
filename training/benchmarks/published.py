"""Published results of guards, as data. Kept apart from everything measured here."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from guardapp.guard.taxonomy import Modality, Task

FILE = Path(__file__).parent / "guardreasoner.toml"


@dataclass(frozen=True, slots=True)
class PublishedBenchmark:
    """`rows` is the number scored in the publication; None if not stated."""

    name: str
    title: str
    task: Task
    modality: Modality
    rows: int | None


@dataclass(frozen=True, slots=True)
class PublishedGuard:
    """F1 in percent by benchmark name. `text` and `all` are averages weighted by rows, as printed."""

    name: str
    task: Task
    f1: Mapping[str, float]
    text: float | None = None
    all: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class PublishedCost:
    """Milliseconds and tokens per query on one H100."""

    name: str
    ms: float
    tokens: int
    ms_without_reasoning: float


@dataclass(frozen=True, slots=True)
class Published:
    source: str
    benchmarks: tuple[PublishedBenchmark, ...]
    guards: tuple[PublishedGuard, ...]
    costs: tuple[PublishedCost, ...]


@cache
def published() -> Published:
    value = tomllib.loads(FILE.read_text(encoding="utf-8"))
    benchmarks = tuple(
        PublishedBenchmark(name, title, Task(table["task"]), Modality(table["modality"]), table["rows"].get(name))
        for table in value["benchmarks"]
        for name, title in table["titles"].items()
    )
    guards = tuple(PublishedGuard(**{**guard, "task": Task(guard["task"])}) for guard in value["guards"])
    return Published(value["source"], benchmarks, guards, tuple(PublishedCost(**cost) for cost in value["costs"]))
