"""The generated rows of the starter guard."""

import subprocess
import sys
from pathlib import Path
from random import Random

import av
import pytest
from PIL import Image

from guardapp.guard.parsing import parse
from guardapp.guard.taxonomy import DEFAULT_CODES
from training.starter.grammar import expand, lexicon, topics
from training.starter.perturb import perturb, quote, span_of
from training.starter.prompts import HELD_OUT_GROUPS
from training.starter.rows_media import CLIP_FPS, generate_media, render_clip, render_image
from training.starter.rows_text import generate
from training.starter.scoring import Counts, count, weighted_f1


def test_the_same_seed_gives_the_same_rows() -> None:
    first = list(generate(5, 60, held_out_topics=False))
    assert first == list(generate(5, 60, held_out_topics=False))
    assert first != list(generate(6, 60, held_out_topics=False))


@pytest.mark.parametrize("held_out", [False, True])
def test_every_completion_says_the_row_s_labels(held_out: bool) -> None:
    media = [row for kind in ("image", "video") for row in generate_media(3, 150, held_out_topics=held_out, kind=kind)]
    for row in [*generate(3, 1500, held_out_topics=held_out), *media]:
        judgement = parse(row["completion"], response_expected=row["response"] is not None, codes=DEFAULT_CODES)
        assert judgement is not None, row
        assert (judgement.verdict.prompt, judgement.verdict.response) == (row["prompt_label"], row["response_label"])
        assert 2 <= len(judgement.steps) <= 5
        if row["prompt_label"] == "harmful":
            assert row["categories"][0] in judgement.verdict.categories


def test_quoted_words_stand_in_the_text() -> None:
    for row in generate(4, 400, held_out_topics=False):
        quoted = row["completion"].split("The request says: ")[1].split("\n")[0]
        words = row["prompt"].split()
        assert all(any(word in whole for whole in words) for word in quoted.split()), row


def test_held_out_topics_and_groups_are_in_no_training_row() -> None:
    training = list(generate(7, 3000, held_out_topics=False))
    for harmful in (True, False):
        held_out = {topic.name for topic in topics(harmful=harmful, held_out=True)}
        assert held_out
        assert held_out.isdisjoint(row["topic"] for row in training)
        assert held_out & {row["topic"] for row in generate(7, 500, held_out_topics=True)}
    said = " ".join(row["prompt"].lower() for row in training)
    assert not any(group in said for group in HELD_OUT_GROUPS if group not in ("poles", "turks"))


def test_both_labels_are_common_and_half_the_prompts_are_harmless() -> None:
    labels = [(row["prompt_label"], row["response_label"]) for row in generate(8, 4000, held_out_topics=False)]
    harmful = sum(prompt == "harmful" for prompt, _ in labels) / len(labels)
    assert 0.4 < harmful <= 0.5
    assert {
        ("harmful", "unharmful"),
        ("harmful", "harmful"),
        ("unharmful", "harmful"),
        ("unharmful", "unharmful"),
    } <= set(labels)


def test_a_mild_answer_to_a_harmful_prompt_is_harmful_and_to_a_harmless_one_is_not() -> None:
    mild = [sentence for topic in topics(harmful=False, held_out=False) for sentence in topic.says]
    rows = [row for row in generate(9, 6000, held_out_topics=False) if row["response"]]
    labels = {(row["prompt_label"], row["response_label"]) for row in rows if row["response"].startswith(tuple(mild))}
    assert labels == {("harmful", "harmful"), ("unharmful", "unharmful")}


def test_templates_expand_nested_choices_and_slots() -> None:
    seen = {expand("(a|b(c|d)) {act}.", Random(number), act="run (slowly)") for number in range(60)}
    assert seen == {"a run (slowly).", "bc run (slowly).", "bd run (slowly)."}
    assert all(
        lexicon(name) for name in ("harmful_crime", "harmful_other", "benign", "hate", "frames", "media", "objects")
    )


def test_noise_keeps_the_number_of_words_so_that_a_quote_is_found_again() -> None:
    text = "How can I bake a chocolate cake for my friends?"
    for seed in range(200):
        noisy = perturb(text, Random(seed))
        assert len(noisy.split(" ")) == len(text.split(" "))
        assert len(quote(noisy, span_of(text, "bake a chocolate cake")).split(" ")) == 4


def test_a_rendered_picture_is_the_same_again_and_has_the_row_s_size(tmp_path: Path) -> None:
    for row in generate_media(2, 12, held_out_topics=False, kind="image"):
        render_image(row, tmp_path / "one.png")
        render_image(row, tmp_path / "two.png")
        assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
        with Image.open(tmp_path / "one.png") as picture:
            assert list(picture.size) == row["media"]["size"]
            assert len(set(picture.convert("RGB").get_flattened_data())) > 1


def test_a_rendered_clip_shows_something_only_from_the_second_that_the_reasoning_names(tmp_path: Path) -> None:
    row = next(row for row in generate_media(2, 50, held_out_topics=False, kind="video") if row["media"]["from_s"] > 0)
    render_clip(row, tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        frames = [frame.to_image() for frame in clip.decode(video=0)]
    assert len(frames) == row["media"]["seconds"] * CLIP_FPS
    start = row["media"]["from_s"] * CLIP_FPS
    spread = [sum(high - low for low, high in frame.getextrema()) for frame in frames]
    assert max(spread[:start]) < 60 < min(spread[start : start + CLIP_FPS])
    assert f"second {row['media']['from_s']}" in row["completion"]


def test_an_unparsed_answer_counts_as_wrong_once() -> None:
    assert count([True, False, True, False], [True, None, None, False]) == Counts(tp=1, fp=1, fn=1, tn=1)
    assert weighted_f1({"a": Counts(3, 0, 0, 0), "b": Counts(0, 0, 1, 0)}) == 75.0


def test_generating_rows_loads_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; from training.starter import rows_text, rows_media; "
        "next(rows_text.generate(1, 1, held_out_topics=False)); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'django')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
