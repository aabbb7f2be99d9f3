"""Rows of the corrections study: a pool to correct, and untouched rows with similar or different wording.

HateCheck applies one sentence to many groups of people. A family is a connected component of rows whose words overlap
by at least FAMILY_OVERLAP, after the words for one group of people are masked. `unrelated` rows are from families that
are entirely excluded from the pool; `related` rows are a random draw from the pool's families. No group of the
product's split (guard.splits) has two rows among them all. Every part has as many harmful as unharmful rows: calling
all of them harmful gives an F1 of 0.67.
"""

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from guardapp.guard.splits import group_key, normalise_text
from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Sample, Verdict
from training.installation.demo_rows import DOMAIN, DemoRow, NotEnoughRows, families
from training.learning.rows import Row

SEED = 17
POOL, RELATED, UNRELATED = "pool", "related", "unrelated"
# A word stands for a group of people if it is in at least this many rows and this share of them is about that group.
TARGET_SHARE, TARGET_ROWS = 0.9, 5
LABELS = tuple(Harmfulness)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Rows of each part; half of each label."""

    pool: int
    related: int
    unrelated: int


@dataclass(frozen=True, slots=True)
class Case:
    """A labelled row of the benchmark. `target` is the group of people that it is about, "" if it names none."""

    row: DemoRow
    target: str


def parts(cases: Sequence[Case], sizes: Sizes) -> dict[str, list[DemoRow]]:
    """The rows of each part, the same at every call. Raises NotEnoughRows."""
    once = list({group_key(case.row.prompt, None, ()): case for case in cases}.values())
    by_id = {case.row.external_id: case.row for case in once}
    found = families(masked(once))
    Random(SEED).shuffle(found)
    strangers: list[DemoRow] = []
    while found and any(_count(strangers, label) < sizes.unrelated // 2 for label in LABELS):
        strangers += found.pop()
    others = [row for family in found for row in family]
    Random(SEED).shuffle(others)
    chosen = {UNRELATED: _balanced(strangers, sizes.unrelated), RELATED: _balanced(others, sizes.related)}
    taken = {row.external_id for row in chosen[RELATED]}
    chosen[POOL] = _balanced([row for row in others if row.external_id not in taken], sizes.pool)
    return {name: [by_id[row.external_id] for row in rows] for name, rows in chosen.items()}


def masked(cases: Sequence[Case]) -> list[DemoRow]:
    """Replace words that stand for one group of people by the same placeholder."""
    rows_of: Counter[str] = Counter()
    targets_of: dict[str, Counter[str]] = defaultdict(Counter)
    for case in cases:
        for word in set(_words(case.row.prompt)):
            rows_of[word] += 1
            targets_of[word][case.target] += bool(case.target)
    naming = {
        word
        for word, count in rows_of.items()
        if count >= TARGET_ROWS and max(targets_of[word].values()) >= TARGET_SHARE * count
    }
    return [
        replace(case.row, prompt=" ".join("target" if word in naming else word for word in _words(case.row.prompt)))
        for case in cases
    ]


def read_cases(data: Path) -> list[Case]:
    """Read the benchmark of a data folder. Raises NotEnoughRows if it is missing."""
    path = data / "benchmarks_open" / f"{DOMAIN}.jsonl.gz"
    if not path.exists():
        raise NotEnoughRows(f"--data {data}: benchmarks_open/{path.name} does not exist.")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        values = [json.loads(line) for line in lines]
    return [
        Case(
            DemoRow(value["id"], value["prompt"], Harmfulness(value["prompt_label"])), "".join(value["categories"][1:2])
        )
        for value in values
        if value["prompt_label"] and value["response"] is None
    ]


def as_rows(chosen: Mapping[str, Sequence[DemoRow]]) -> list[Row]:
    """Rows for the jobs: the pool is the train side, and the part is the source."""
    return [
        Row(
            Sample(row.external_id, row.prompt),
            Verdict(prompt=row.label),
            "",
            source=name,
            split="train" if name == POOL else "holdout",
        )
        for name, rows in chosen.items()
        for row in rows
    ]


def pick(disagreement: Mapping[str, float], count: int, *, by_disagreement: bool, seed: int) -> list[str]:
    """Pick `count` ids: at random, or by highest disagreement with ties in random order.

    For one seed, a smaller pick is a subset of a larger one.
    """
    ids = sorted(disagreement)
    Random(seed).shuffle(ids)
    if by_disagreement:
        ids.sort(key=lambda key: -disagreement[key])
    return ids[:count]


def _words(text: str) -> list[str]:
    return normalise_text(text).split()


def _count(rows: Sequence[DemoRow], label: Harmfulness) -> int:
    return sum(row.label is label for row in rows)


def _balanced(rows: Sequence[DemoRow], count: int) -> list[DemoRow]:
    chosen = [row for label in LABELS for row in [row for row in rows if row.label is label][: count // 2]]
    if len(chosen) < len(LABELS) * (count // 2):
        raise NotEnoughRows(f"{len(rows)} rows are left for a part of {count}, half of each label.")
    return chosen
