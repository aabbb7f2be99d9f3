"""The template language of the lexicon files: "(a|b)" is a choice, "{name}" a slot. No heavy imports."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

_CHOICE = re.compile(r"\(([^()]*)\)")
_SPACES = re.compile(r" {2,}")
_SPACE_BEFORE_MARK = re.compile(r" +([.,!?])")
LEXICON = Path(__file__).with_name("lexicon")


@dataclass(frozen=True, slots=True)
class Topic:
    """The topic of a row. `acts` follow "to", `nouns` name the thing; `code` is the category, "" if harmless."""

    name: str
    code: str
    acts: tuple[str, ...]
    nouns: tuple[str, ...]
    says: tuple[str, ...]  # sentences of a helpful answer (harmless topics)
    # excluded from training rows, to measure generalisation to unseen topics
    held_out: bool


@cache
def lexicon(name: str) -> dict[str, Any]:
    """Load a lexicon file by its stem."""
    with (LEXICON / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)


@cache
def topics(*, harmful: bool, held_out: bool) -> tuple[Topic, ...]:
    """The topics of one kind, either for training or held out."""
    files = ("harmful_crime", "harmful_other") if harmful else ("benign",)
    entries = [entry for file in files for entry in lexicon(file)["topic"]]
    return tuple(
        Topic(
            entry["name"],
            entry.get("code", ""),
            tuple(entry["acts"]),
            tuple(entry["nouns"]),
            tuple(entry.get("says", ())),
            entry.get("held_out", False),
        )
        for entry in entries
        if entry.get("held_out", False) is held_out
    )


def expand(template: str, random: Random, **slots: str) -> str:
    """Resolve every choice, innermost first, fill the slots and tidy spaces. Slot values are inserted verbatim."""
    text = template
    while (choice := _CHOICE.search(text)) is not None:
        text = text[: choice.start()] + random.choice(choice[1].split("|")) + text[choice.end() :]
    for name, value in slots.items():
        text = text.replace(f"{{{name}}}", value)
    return _SPACE_BEFORE_MARK.sub(r"\1", _SPACES.sub(" ", text)).strip()


def pick(templates: list[str] | tuple[str, ...], random: Random, **slots: str) -> str:
    return expand(random.choice(templates), random, **slots)
