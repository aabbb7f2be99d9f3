"""Rows of the open training sets (train_tier "A" of the data folder's manifest), with target completions written by rule.

Nothing is read but DATA_DIR/manifest.json and the named files of DATA_DIR/train_permissive.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from training.starter.grammar import Topic
from training.starter.rows_text import Answer, Prompt, advise, comply, refuse, text_row

MOST_WORDS = 350  # of an open row's text: the longest are cut, never the quoted start
# Words of the held-out topics: an open row that holds one is left out of training, so that held-out results stay honest.
HELD_OUT_WORDS = ("arson", "burn down", "set fire", "counterfeit", "launder", "smuggl", "traffick", "uranium", "plutonium",
                  "nuclear", "radioactive", "dirty bomb", "anorexi", "starv", "purging", "escort", "prostitut", "hooker",
                  "sikh", "polish", "deaf", "asylum", "lesbian", "turk", "knit", "origami", "bird")
# First match wins. A rough naming of categories for rows that bring none of ours.
CATEGORY_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("S4", ("child porn", "minor", "child abuse", "paedo", "pedo")),
    ("S11", ("suicid", "self-harm", "self harm", "eating disorder")),
    ("S9", ("bomb", "explosive", "biological weapon", "chemical weapon", "nerve gas", "bioweapon", "pathogen", "weaponi")),
    ("S10", ("hate", "racis", "discriminat", "stereotyp", "sexis", "supremac", "superior", "eugenic", "xenophob", "prejudice")),
    ("S12", ("porn", "erotic", "sexual content")),
    ("S3", ("sexual", "rape", "harass")),
    ("S7", ("privacy", "personal information", "spy", "stalk", "track", "surveil", "private", "dox")),
    ("S8", ("plagiar", "copyright", "pirat", "intellectual property")),
    ("S5", ("fake news", "misinformation", "disinformation", "propaganda", "rumor", "conspiracy", "false", "defam", "mislead")),
    ("S6", ("diagnos", "medication", "medical advice", "tax advice", "legal advice", "cure")),
    ("S1", ("kill", "murder", "violen", "poison", "attack", "weapon", "terror", "hurt", "kidnap", "assault", "torture", "gun")),
)
ASSISTED = frozenset({"harmfulqa", "catqa_en", "dangerousqa"})  # half of these get a generated response


@dataclass(frozen=True, slots=True)
class OpenSet:
    """A training set of the data folder: its name, licence and text rows."""

    name: str
    license: str
    path: Path


def open_sets(data: Path) -> list[OpenSet]:
    """The sets whose train_tier is exactly "A"."""
    manifest = json.loads((data / "manifest.json").read_text(encoding="utf-8"))
    return [OpenSet(entry["dataset"], entry["license"], data / entry["path"])
            for entry in manifest["files"] if entry.get("train_tier") == "A" and entry.get("role") == "train"]


def read_set(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def open_rows(data: Path, seed: int, *, quotes: bool) -> Iterator[dict[str, Any]]:
    """The text rows of every tier A set, in the shape of `rows_text.generate`, plus "source"."""
    for source in open_sets(data):
        for row in read_set(source.path):
            text = row["prompt"] or ""
            if row["modality"] != "text" or any(word in text.lower() for word in HELD_OUT_WORDS):
                continue
            random = Random(f"open-{seed}-{row['id']}")
            prompt = _prompt(source.name, row)
            answer = _answer(source.name, row, prompt, random)
            yield text_row(f"starter/{row['id']}", prompt, answer, random, quotes=quotes) | {"source": source.name}


def category_of(source: str, text: str) -> str:
    if source == "hatemojibuild":
        return "S10"
    if source == "cyberseceval_interpreter":
        return "S2"
    lowered = text.lower()
    return next((code for code, words in CATEGORY_WORDS if any(word in lowered for word in words)), "S2")


def _prompt(source: str, row: dict[str, Any]) -> Prompt:
    text = " ".join((row["prompt"]).split(" ")[:MOST_WORDS])
    subject = {"gsm8k": "school and science", "cyberseceval_frr": "computing", "hatemojibuild": "people, with respect",
               "self_instruct": "everyday talk"}.get(source, "harm")
    code = category_of(source, text) if row["prompt_label"] == "harmful" else ""
    topic = Topic(subject, code, (), (), (), held_out=False)
    words = text.rstrip(" .?!").split(" ")
    evidence = " ".join(words[-6:] if len(words) < 40 and "\n" not in text else words[:6])
    return Prompt(text, evidence, code, subject, topic, "do this", "this")


def _answer(source: str, row: dict[str, Any], prompt: Prompt, random: Random) -> Answer | None:
    if row["response"] is not None and row["response_label"] == "unharmful" and random.random() < 0.8:
        text = " ".join(row["response"].split(" ")[:MOST_WORDS])
        return Answer(text, " ".join(text.split(" ")[:5]))
    if source in ASSISTED and random.random() < 0.5:
        return random.choice([comply, comply, refuse, advise])(prompt, random)
    return None
