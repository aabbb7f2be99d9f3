"""Rows of the open training sets (train_tier "A" in the data folder's manifest), with rule-based completions.

Reads only DATA_DIR/manifest.json and the files of DATA_DIR/train_permissive that it names.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from training.starter.answers import Answer, advise, comply, refuse
from training.starter.grammar import Topic
from training.starter.perturb import sentences, thin
from training.starter.prompts import Prompt
from training.starter.rows_text import MOST_WORDS as GENERATED_WORDS
from training.starter.rows_text import text_row

# Limit on an open row's text; the longest are cut after the quoted start.
MOST_WORDS = 350
# sets whose harmless rows are complete sentences
PROSE = ("gsm8k", "self_instruct", "cyberseceval_frr")
# Words of the held-out topics. Open rows that contain one are excluded from training, so that held-out results stay
# valid.
HELD_OUT_WORDS = (
    "arson",
    "burn down",
    "set fire",
    "counterfeit",
    "launder",
    "smuggl",
    "traffick",
    "uranium",
    "plutonium",
    "nuclear",
    "radioactive",
    "dirty bomb",
    "anorexi",
    "starv",
    "purging",
    "escort",
    "prostitut",
    "hooker",
    "sikh",
    "polish",
    "deaf",
    "asylum",
    "lesbian",
    "turk",
    "knit",
    "origami",
    "bird",
)
# The first match wins. A rough assignment of categories to rows without ours.
CATEGORY_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("S4", ("child porn", "minor", "child abuse", "paedo", "pedo")),
    ("S11", ("suicid", "self-harm", "self harm", "eating disorder")),
    (
        "S9",
        ("bomb", "explosive", "biological weapon", "chemical weapon", "nerve gas", "bioweapon", "pathogen", "weaponi"),
    ),
    (
        "S10",
        (
            "hate",
            "racis",
            "discriminat",
            "stereotyp",
            "sexis",
            "supremac",
            "superior",
            "eugenic",
            "xenophob",
            "prejudice",
        ),
    ),
    ("S12", ("porn", "erotic", "sexual content")),
    ("S3", ("sexual", "rape", "harass")),
    ("S7", ("privacy", "personal information", "spy", "stalk", "track", "surveil", "private", "dox")),
    ("S8", ("plagiar", "copyright", "pirat", "intellectual property")),
    (
        "S5",
        (
            "fake news",
            "misinformation",
            "disinformation",
            "propaganda",
            "rumor",
            "conspiracy",
            "false",
            "defam",
            "mislead",
        ),
    ),
    ("S6", ("diagnos", "medication", "medical advice", "tax advice", "legal advice", "cure")),
    (
        "S1",
        (
            "kill",
            "murder",
            "violen",
            "poison",
            "attack",
            "weapon",
            "terror",
            "hurt",
            "kidnap",
            "assault",
            "torture",
            "gun",
        ),
    ),
)
# half of these get a generated response
ASSISTED = frozenset({"harmfulqa", "catqa_en", "dangerousqa"})


@dataclass(frozen=True, slots=True)
class OpenSet:
    """A training set of the data folder: its name, licence and text rows."""

    name: str
    license: str
    path: Path


def open_sets(data: Path) -> list[OpenSet]:
    """The sets whose train_tier is exactly "A"."""
    manifest = json.loads((data / "manifest.json").read_text(encoding="utf-8"))
    return [
        OpenSet(entry["dataset"], entry["license"], data / entry["path"])
        for entry in manifest["files"]
        if entry.get("train_tier") == "A" and entry.get("role") == "train"
    ]


def read_set(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def open_rows(
    data: Path, seed: int, *, quotes: bool, thinned: float = 0.0, most_words: int = MOST_WORDS
) -> Iterator[dict[str, Any]]:
    """The text rows of every tier A set, like those of `rows_text.generate`, plus "source".

    A share of `thinned` has words removed and sentences shuffled, so that only the words remain as evidence and the
    guard learns them instead of their frames.
    """
    for source, row in _texts(data):
        random = Random(f"open-{seed}-{row['id']}")
        thinning = Random(f"thin-{seed}-{row['id']}")
        thins = thinning.random() < thinned
        prompt = _prompt(source.name, row, most_words, thinning if thins else None)
        answer = _answer(source.name, row, prompt, random, most_words)
        if answer is not None and thins:
            text = thin(answer.text, thinning)
            answer = replace(answer, text=text, evidence=_start(text))
        yield text_row(
            f"starter/{row['id']}", prompt, answer, random, quotes=quotes, most_words=max(most_words, GENERATED_WORDS)
        ) | {"source": source.name}


def open_prose(data: Path) -> tuple[str, ...]:
    """Harmless sentences of the open sets, used for padding long rows besides the lexicon's."""
    texts = [
        row[side]
        for source, row in _texts(data)
        if source.name in PROSE and row["prompt_label"] == "unharmful"
        for side in ("prompt", "response")
        if row[side]
    ]
    return tuple(
        dict.fromkeys(sentence for text in texts for sentence in sentences(text) if not touches_held_out(sentence))
    )


def touches_held_out(text: str) -> bool:
    lowered = text.lower()
    return any(word in lowered for word in HELD_OUT_WORDS)


def _texts(data: Path) -> Iterator[tuple[OpenSet, dict[str, Any]]]:
    """The text rows that contain no held-out topic, each with its set."""
    for source in open_sets(data):
        for row in read_set(source.path):
            if row["modality"] == "text" and not touches_held_out(row["prompt"] or ""):
                yield source, row


def category_of(source: str, text: str) -> str:
    if source == "hatemojibuild":
        return "S10"
    if source == "cyberseceval_interpreter":
        return "S2"
    lowered = text.lower()
    return next((code for code, words in CATEGORY_WORDS if any(word in lowered for word in words)), "S2")


def _prompt(source: str, row: dict[str, Any], most_words: int, thinning: Random | None) -> Prompt:
    text = " ".join((row["prompt"]).split(" ")[:most_words])
    subject = {
        "gsm8k": "school and science",
        "cyberseceval_frr": "computing",
        "hatemojibuild": "people, with respect",
        "self_instruct": "everyday talk",
    }.get(source, "harm")
    code = category_of(source, text) if row["prompt_label"] == "harmful" else ""
    topic = Topic(subject, code, (), (), (), held_out=False)
    # removing a word may join two others into a held-out phrase
    if thinning is not None and not touches_held_out(thinner := thin(text, thinning)):
        text = thinner
    words = text.rstrip(" .?!").split(" ")
    evidence = " ".join(words[-6:] if len(words) < 40 and "\n" not in text else words[:6])
    return Prompt(text, evidence, code, subject, topic, "do this", "this")


def _answer(source: str, row: dict[str, Any], prompt: Prompt, random: Random, most_words: int) -> Answer | None:
    if row["response"] is not None and row["response_label"] == "unharmful" and random.random() < 0.8:
        text = " ".join(row["response"].split(" ")[:most_words])
        return Answer(text, _start(text))
    if source in ASSISTED and random.random() < 0.5:
        return random.choice([comply, comply, refuse, advise])(prompt, random)
    return None


def _start(text: str) -> str:
    return " ".join(text.split(" ")[:5])
