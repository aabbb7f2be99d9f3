"""Rows for the demonstration: labelled ones of one domain, half of them to be reviewed, the others never touched.

The two halves share no family of near-copies: rows whose words overlap by FAMILY_OVERLAP or more are one family, and a family goes
to one side whole. That is stricter than the split of snapshots, because a test suite like HateCheck says one sentence about many groups.
Both halves hold as many harmful as unharmful prompts, so that calling everything harmful gives an F1 of 0.67 and no more.
"""

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from guardapp.guard.splits import normalise_text
from guardapp.guard.taxonomy import Harmfulness
from training.starter.rows_text import generate

DOMAIN = "hatecheck"
FAMILY_OVERLAP = 0.6  # Jaccard overlap of two rows' words
SEED = 17
GENERATED_SEED = 90_417  # of rows that no version of the starter was trained on


class NotEnoughRows(ValueError):
    """The domain has not as many labelled rows as were asked for; the message says how many there are."""


@dataclass(frozen=True, slots=True)
class DemoRow:
    external_id: str
    prompt: str
    label: Harmfulness


@dataclass(frozen=True, slots=True)
class DemoRows:
    domain: str
    reviewed: Sequence[DemoRow]
    untouched: Sequence[DemoRow]


def demo_rows(data: Path, count: int) -> DemoRows:
    """`count` rows to review and as many to measure on. Raises NotEnoughRows."""
    path = data / "benchmarks_open" / f"{DOMAIN}.jsonl.gz"
    if path.exists():
        return _halves(f"{DOMAIN} (open benchmark)", list(_benchmark(path)), count)
    return _halves("generated prompts on topics outside the starter's training", list(_generated(count)), count)


def _benchmark(path: Path) -> Iterator[DemoRow]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row: dict[str, Any] = json.loads(line)
            if row["prompt_label"] and row["response"] is None:
                yield DemoRow(row["id"], row["prompt"], Harmfulness(row["prompt_label"]))


def _generated(count: int) -> Iterator[DemoRow]:
    for row in generate(GENERATED_SEED, 12 * count, held_out_topics=True):
        if row["response"] is None:
            yield DemoRow(row["id"], row["prompt"], Harmfulness(row["prompt_label"]))


def _halves(domain: str, rows: list[DemoRow], count: int) -> DemoRows:
    """Families in random order, each to the side that lacks rows of its labels most."""
    Random(SEED).shuffle(rows)
    wanted = {(side, label): count // 2 for side in (0, 1) for label in Harmfulness}
    sides: tuple[list[DemoRow], list[DemoRow]] = ([], [])
    for number, family in enumerate(families(rows)):
        side = number % 2
        for row in family:
            if wanted[side, row.label] > 0:
                wanted[side, row.label] -= 1
                sides[side].append(row)
    if any(wanted.values()):
        raise NotEnoughRows(f"{domain}: {len(rows)} labelled rows give {len(sides[0])} to review and {len(sides[1])} to measure on; "
                            f"{count} were asked for.")
    for chosen in sides:
        Random(SEED).shuffle(chosen)
    return DemoRows(domain, *sides)


def families(rows: Sequence[DemoRow]) -> list[list[DemoRow]]:
    """The connected components of near-copies, in the order of their first rows."""
    words = [frozenset(normalise_text(row.prompt).split()) for row in rows]
    parent = list(range(len(rows)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    having: dict[str, list[int]] = defaultdict(list)
    for index, own in enumerate(words):
        shared = Counter(other for word in own for other in having[word])
        for other, common in shared.items():
            if common / (len(own) + len(words[other]) - common) >= FAMILY_OVERLAP:
                parent[root(index)] = root(other)
        for word in own:
            having[word].append(index)
    found: dict[int, list[DemoRow]] = defaultdict(list)
    for index, row in enumerate(rows):
        found[root(index)].append(row)
    return list(found.values())
