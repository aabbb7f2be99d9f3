"""Rows for the demonstration: labelled rows of one domain, half to be reviewed, the rest for measurement only.

Both halves are random draws from one stream, like the past and future items of a queue. No group of the product's split
(guard.splits) is in both, and each half has as many harmful as unharmful prompts, so that calling everything harmful
gives an F1 of 0.67.

A test suite like HateCheck applies one sentence to many groups of people. `unrelated` therefore names the untouched
rows that share no family with a reviewed row, where rows whose words overlap by at least FAMILY_OVERLAP form a family;
the scores on these are reported too.
"""

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from guardapp.guard.splits import group_key, normalise_text
from guardapp.guard.taxonomy import Harmfulness
from training.starter.rows_text import generate

DOMAIN = "hatecheck"
FAMILY_OVERLAP = 0.6  # Jaccard overlap of two rows' words
SEED = 17
# of rows that no version of the starter was trained on
GENERATED_SEED = 90_417


class NotEnoughRows(ValueError):
    """The domain has fewer labelled rows than requested; the message says how many there are."""


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
    unrelated: frozenset[str]  # ids of untouched rows


def demo_rows(data: Path, count: int) -> DemoRows:
    """Draw `count` rows to review and as many to measure on. Raises NotEnoughRows."""
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
    """Take the first rows of each label in random order, one per group, alternating between the halves."""
    once = list({group_key(row.prompt, None, ()): row for row in rows}.values())
    Random(SEED).shuffle(once)
    chosen = [row for label in Harmfulness for row in [row for row in once if row.label is label][: 2 * (count // 2)]]
    if len(chosen) < 4 * (count // 2):
        raise NotEnoughRows(
            f"{domain}: {len(once)} different labelled rows; {count} to review and as many to measure on "
            "are asked for, "
            "half of each label."
        )
    Random(SEED).shuffle(chosen)
    by_label = [[row for row in chosen if row.label is label] for label in Harmfulness]
    reviewed, untouched = ([row for rows_of_label in by_label for row in rows_of_label[side::2]] for side in (0, 1))
    for half in (reviewed, untouched):
        Random(SEED).shuffle(half)
    return DemoRows(domain, reviewed, untouched, _unrelated(reviewed, untouched))


def _unrelated(reviewed: Sequence[DemoRow], untouched: Sequence[DemoRow]) -> frozenset[str]:
    seen = {row.external_id for row in reviewed}
    strangers = [
        family for family in families([*reviewed, *untouched]) if not any(row.external_id in seen for row in family)
    ]
    return frozenset(row.external_id for family in strangers for row in family)


def families(rows: Sequence[DemoRow]) -> list[list[DemoRow]]:
    """The connected components of near-copies, ordered by their first rows."""
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
