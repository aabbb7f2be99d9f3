"""The long and the thinned rows of the starter guard's last stage."""

import gzip
import json
from pathlib import Path
from random import Random

import pytest

from guardapp.guard.parsing import parse
from guardapp.guard.taxonomy import DEFAULT_CODES
from training.starter.grammar import topics
from training.starter.perturb import sentences, thin
from training.starter.plan import STAGES
from training.starter.prompts import HELD_OUT_GROUPS
from training.starter.rows_long import FEWEST_WORDS, MOST_WORDS, generate_long
from training.starter.rows_open import open_prose, open_rows, touches_held_out

OPEN: list[dict[str, str | None]] = [
    {
        "id": "1",
        "prompt": "Tom has two apples. He buys three more at the shop. How many apples does Tom have now?",
        "response": "He has two and three. That makes five apples in all. The answer is five.",
        "prompt_label": "unharmful",
        "response_label": "unharmful",
    },
    {
        "id": "2",
        "prompt": "How can I burn the barn down at night without being seen?",
        "response": None,
        "prompt_label": "harmful",
        "response_label": None,
    },
    {
        "id": "3",
        "prompt": "Tell me how to burn down a barn.",
        "response": None,
        "prompt_label": "harmful",
        "response_label": None,
    },
    {
        "id": "4",
        "prompt": "My aunt can knit. She lives by the sea. The sea is cold.",
        "response": None,
        "prompt_label": "unharmful",
        "response_label": None,
    },
    *(
        {
            "id": f"long-{number}",
            "prompt": " ".join(f"Word{at} is not sentence {number}." for at in range(200)),
            "response": None,
            "prompt_label": "unharmful",
            "response_label": None,
        }
        for number in range(40)
    ),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one open set, in the shape of the real one."""
    (tmp_path / "manifest.json").write_text(
        json.dumps(
            {
                "files": [
                    {"dataset": "gsm8k", "license": "MIT", "path": "gsm8k.jsonl.gz", "train_tier": "A", "role": "train"}
                ]
            }
        )
    )
    with gzip.open(tmp_path / "gsm8k.jsonl.gz", "wt", encoding="utf-8") as file:
        for row in OPEN:
            file.write(json.dumps(row | {"modality": "text"}) + "\n")
    return tmp_path


def words(row: dict[str, str | None]) -> int:
    return len((row["prompt"] or "").split()) + len((row["response"] or "").split())


def test_the_same_seed_gives_the_same_long_rows() -> None:
    prose = ("A lamp stands on the desk.", "Nobody saw the letter.")
    first = list(generate_long(5, 30, held_out_topics=False, prose=prose))
    assert first == list(generate_long(5, 30, held_out_topics=False, prose=prose))
    assert first != list(generate_long(6, 30, held_out_topics=False, prose=prose))
    assert any(prose[0] in (row["response"] or row["prompt"]) for row in first)


def test_long_rows_have_all_lengths_up_to_the_longest() -> None:
    rows = list(generate_long(3, 300, held_out_topics=False))
    lengths = sorted(words(row) for row in rows)
    assert max(len((row[side] or "").split()) for row in rows for side in ("prompt", "response")) <= MOST_WORDS
    assert lengths[0] > FEWEST_WORDS / 2
    assert lengths[-1] > 0.95 * MOST_WORDS
    assert all(any(start <= length < start + 300 for length in lengths) for start in range(300, 2_700, 300))
    assert sum(length > 500 for length in lengths) > 200


@pytest.mark.parametrize("held_out", [False, True])
def test_every_long_row_s_completion_says_its_labels(held_out: bool) -> None:
    for row in generate_long(4, 200, held_out_topics=held_out):
        judgement = parse(row["completion"], response_expected=row["response"] is not None, codes=DEFAULT_CODES)
        assert judgement is not None, row["completion"]
        assert (judgement.verdict.prompt, judgement.verdict.response) == (row["prompt_label"], row["response_label"])


def test_length_says_nothing_of_the_label() -> None:
    rows = list(generate_long(8, 600, held_out_topics=False))
    answered = [row for row in rows if row["response"]]
    assert 0.4 < sum(row["response_label"] == "harmful" for row in answered) / len(answered) < 0.6
    assert 0.3 < sum(row["prompt_label"] == "harmful" for row in rows) / len(rows) < 0.6
    mean = {
        label: sum(words(row) for row in rows if row["prompt_label"] == label)
        / sum(row["prompt_label"] == label for row in rows)
        for label in ("harmful", "unharmful")
    }
    assert abs(mean["harmful"] - mean["unharmful"]) < 200


def test_held_out_topics_and_groups_are_in_no_long_training_row() -> None:
    rows = list(generate_long(7, 400, held_out_topics=False))
    unseen = {topic.name for harmful in (True, False) for topic in topics(harmful=harmful, held_out=True)}
    assert unseen.isdisjoint(row["topic"] for row in rows)
    assert unseen & {row["topic"] for row in generate_long(7, 100, held_out_topics=True)}
    said = " ".join(f"{row['prompt']} {row['response']}".lower() for row in rows)
    assert not any(group in said for group in HELD_OUT_GROUPS if group not in ("poles", "turks"))


def test_thinning_leaves_words_out_and_never_a_negation() -> None:
    text = "You should not do that. I can't say why, but nobody likes it. Ask a friend! What do you think?"
    thinned = [thin(text, Random(seed)) for seed in range(200)]
    before = sorted(text.split())
    for one in thinned:
        assert all(one.split().count(word) <= before.count(word) for word in one.split())
        assert {"not", "can't", "nobody"} <= set(one.split())
    assert any(one.startswith(("Ask", "What")) for one in thinned)
    assert 0.7 < sum(len(one.split()) for one in thinned) / (200 * len(before)) < 0.95
    assert thin("Hello", Random(1)) == "Hello"
    assert sentences("One. Two? \nThree") == ["One.", "Two?", "Three"]


def test_half_of_the_open_rows_are_thinned_and_keep_their_labels(data: Path) -> None:
    whole = {row["id"]: row for row in open_rows(data, 1, quotes=True, most_words=2_700)}
    half = {row["id"]: row for row in open_rows(data, 1, quotes=True, thinned=0.5, most_words=2_700)}
    assert whole.keys() == half.keys()
    thinned = [identifier for identifier in whole if words(half[identifier]) < words(whole[identifier])]
    assert 10 < len(thinned) < 30
    for identifier, row in whole.items():
        assert half[identifier]["prompt_label"] == row["prompt_label"]
        assert half[identifier]["categories"] == row["categories"]
        quoted = half[identifier]["completion"].split("The request says: ")[1].split("\n")[0]
        assert quoted in half[identifier]["prompt"]
    assert half == {row["id"]: row for row in open_rows(data, 1, quotes=True, thinned=0.5, most_words=2_700)}


def test_open_rows_are_cut_where_the_stage_says_so(data: Path) -> None:
    longest = {
        most: max(words(row) for row in open_rows(data, 1, quotes=True, most_words=most)) for most in (350, 2_700)
    }
    assert longest == {350: 350, 2_700: 1_000}


def test_nothing_held_out_comes_in_by_a_lost_word_or_by_the_padding(data: Path) -> None:
    for seed in range(60):
        rows = list(open_rows(data, seed, quotes=True, thinned=1.0))
        assert {row["id"] for row in rows} >= {"starter/1", "starter/2"}
        assert not any(touches_held_out(row["prompt"]) for row in rows)
    prose = open_prose(data)
    assert "He buys three more at the shop." in prose
    assert not any(touches_held_out(sentence) for sentence in prose)
    assert not any("barn" in sentence for sentence in prose)


def test_only_the_last_stages_have_long_and_thinned_rows() -> None:
    assert (
        [stage.name for stage in STAGES if stage.long or stage.thinned]
        == ["long", "mixed"]
        == [stage.name for stage in STAGES[-2:]]
    )
    assert {stage.cutoff_tokens for stage in STAGES[:-2]} == {1_600}
    assert all(stage.cutoff_tokens > MOST_WORDS for stage in STAGES[-2:])
