"""The rows of the starter guard that are put together from pieces of others."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from guardapp.guard.parsing import parse
from guardapp.guard.taxonomy import DEFAULT_CODES
from training.starter.dataset import train_rows
from training.starter.plan import Stage
from training.starter.rows_mixed import MOST_PIECE_WORDS, WITH_RESPONSE, mixed_rows, pool

COUNT = 200
STAGE = Stage(
    "words",
    text=600,
    image=0,
    video=0,
    open_share=0.0,
    quotes=False,
    learning_rate=1e-3,
    batch_size=8,
    loss_on_prompt=0.0,
    seed_step=0,
)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    media = tmp_path_factory.mktemp("media")
    return [row.as_json(media) for row in train_rows(None, STAGE, 3, media)]


@pytest.fixture(scope="module")
def rows(earlier: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(mixed_rows(earlier, COUNT, 5, quotes=True))


def test_the_same_seed_gives_the_same_rows(earlier: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    assert rows == list(mixed_rows(earlier, COUNT, 5, quotes=True))
    assert rows != list(mixed_rows(earlier, COUNT, 6, quotes=True))
    assert len({row["id"] for row in rows}) == len(rows) == COUNT


def test_harmful_and_unharmful_rows_are_about_as_many(rows: list[dict[str, Any]]) -> None:
    alone = Counter(row["prompt_label"] for row in rows if row["response"] is None)
    answered = Counter(row["response_label"] for row in rows if row["response"] is not None)
    assert sum(answered.values()) == round(COUNT * WITH_RESPONSE)
    for labels in (alone, answered):
        assert 0.3 < labels["harmful"] / labels.total() < 0.7


def test_completions_say_what_the_labels_say(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        judgement = parse(row["completion"], response_expected=row["response"] is not None, codes=DEFAULT_CODES)
        assert judgement is not None
        assert (judgement.verdict.prompt, judgement.verdict.response) == (row["prompt_label"], row["response_label"])
        assert bool(row["categories"]) is ("harmful" in (row["prompt_label"], row["response_label"]))


def test_the_same_prose_is_a_harmless_and_a_harmful_response(
    earlier: list[dict[str, Any]], rows: list[dict[str, Any]]
) -> None:
    """Prose alone says nothing: after a harmful request it goes along with it."""
    plain = {piece.text.lower().strip(" .!?") for piece in pool(earlier).prose}
    said = Counter(
        row["response_label"]
        for row in rows
        if row["response"]
        and row["prompt_label"] == "harmful"
        and any(text in row["response"].lower() for text in plain)
    )
    assert said["harmful"] > 5


def test_pieces_are_short_and_come_from_where_their_label_is_certain(earlier: list[dict[str, Any]]) -> None:
    found = pool(earlier)
    labels = {row["prompt"]: row["labels"]["prompt"] for row in earlier}
    assert all(labels[piece.text] == "harmful" and piece.code for piece in found.requests)
    assert all(labels[piece.text] == "unharmful" and not piece.code for piece in found.prompts)
    pieces = (*found.harmless, *found.harmful, *found.prose, *found.declining, *found.complying)
    assert max(len(piece.text.split()) for piece in pieces) <= MOST_PIECE_WORDS
    assert not any(piece.code for piece in (*found.harmless, *found.prose, *found.declining))
    assert all(piece.code for piece in (*found.harmful, *found.complying))


def test_a_stage_takes_them_in(earlier: list[dict[str, Any]], tmp_path: Path) -> None:
    stage = Stage(
        "mixed",
        text=4,
        image=0,
        video=0,
        open_share=0.0,
        quotes=True,
        learning_rate=1e-3,
        batch_size=8,
        loss_on_prompt=0.0,
        seed_step=5,
        mixed=12,
    )
    assert (
        sum(row.sample.id.startswith("starter/mixed/") for row in train_rows(None, stage, 3, tmp_path, earlier)) == 12
    )
