"""Each reward against the values of the spec."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardapp.guard.parsing import has_published_format, parse, parse_labels
from guardapp.guard.rl.rewards import LENGTH_FLOOR, REWARDS, Graded, NothingToGrade, RewardUnknown, grade, reward_named
from guardapp.guard.taxonomy import DEFAULT_CODES, Harmfulness
from guardapp.guard.verdict import Verdict

HARMFUL, UNHARMFUL = Harmfulness.HARMFUL, Harmfulness.UNHARMFUL
RIGHT, HALF, WRONG = (True, True), (True, False), (False, False)
PROMPT_RIGHT, PROMPT_WRONG = (True, None), (False, None)


def completion(prompt: str, response: str = "None", reasoning: str = "Step 1: It is asked.") -> str:
    return f"<think>\n{reasoning}\n</think>\n<result>\nRequest: {prompt}\nResponse: {response}\n</result>"


def total(
    name: str, labels: tuple[bool, bool | None], tokens: int, *, format_ok: bool = True, max_tokens: int = 1000
) -> float:
    return REWARDS[name](Graded(format_ok, *labels, tokens=tokens, max_tokens=max_tokens)).total


@pytest.mark.parametrize(("tokens", "explored"), [(0, 0.0), (100, 0.064), (200, 0.117), (300, 0.152), (600, 0.193)])
def test_exploration_pays_wrong_completions_for_length(tokens: int, explored: float) -> None:
    assert total("omni-v1", WRONG, tokens) == pytest.approx(explored, abs=5e-4)
    assert total("omni-v1", HALF, tokens) == pytest.approx(0.5 + explored, abs=5e-4)
    assert total("omni-v1", PROMPT_WRONG, tokens) == pytest.approx(explored, abs=5e-4)
    assert total("omni-v1", RIGHT, tokens) == total("omni-v1", PROMPT_RIGHT, tokens) == 1.0
    assert total("omni-v1", RIGHT, tokens, format_ok=False) == total("omni-v1", WRONG, tokens, format_ok=False) == 0.0


@pytest.mark.parametrize(
    ("tokens", "penalty"), [(10, 0.0), (250, 0.0), (300, 0.07895), (500, 0.3046), (750, 0.3856), (4096, 0.4)]
)
def test_concision_charges_right_completions_for_length(tokens: int, penalty: float) -> None:
    assert total("omni-v2", RIGHT, tokens) == pytest.approx(1 - penalty, abs=5e-5)
    assert total("omni-v2", PROMPT_RIGHT, tokens) == pytest.approx(1 - penalty, abs=5e-5)
    assert total("omni-v2", HALF, tokens) == 0.5
    assert total("omni-v2", WRONG, tokens) == 0.0
    assert total("omni-v2", RIGHT, tokens, format_ok=False) == 0.0


def test_as_released_the_penalty_is_shown_and_not_applied() -> None:
    long = Graded(True, True, True, tokens=500, max_tokens=1000)
    published, released = REWARDS["omni-v2"](long), REWARDS["omni-v2-released"](long)
    assert released.total == 1.0
    assert released.length_term == published.length_term == pytest.approx(-0.3046, abs=5e-5)
    assert published.total == published.accuracy + published.length_term
    assert total("omni-v2-released", HALF, 500) == 0.5
    assert total("omni-v2-released", RIGHT, 500, format_ok=False) == 0.0


@pytest.mark.parametrize(
    ("name", "labels", "tokens", "format_ok", "expected"),
    [
        ("vl", HALF, 200, True, -12.5),
        ("vl-eco", HALF, 200, True, -18.0),
        ("vl", HALF, 1000, True, -0.5),
        ("vl", WRONG, 500, True, -4.0),
        ("vl", PROMPT_WRONG, 500, True, -4.0),
        ("vl", RIGHT, 500, False, -4.0),  # without the format a right label is worth nothing
        ("vl", RIGHT, 10, True, 0.0),
        ("vl", PROMPT_RIGHT, 10, True, 0.0),
        ("vl-eco", WRONG, 167, True, -36.0),  # from a sixth on length is free
        ("vl-eco", WRONG, 1000, True, -36.0),
        ("vl-eco", WRONG, 100, True, -100.0),
        ("vl", WRONG, 1, True, -1 / LENGTH_FLOOR**2),
        ("vl-eco", WRONG, 0, True, -1 / LENGTH_FLOOR**2),
    ],
)
def test_length_aware_safety(
    name: str, labels: tuple[bool, bool | None], tokens: int, format_ok: bool, expected: float
) -> None:
    assert total(name, labels, tokens, format_ok=format_ok) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("labels", "accuracy"),
    [
        (RIGHT, 1.0),
        (HALF, 0.5),
        ((False, True), 0.5),
        (WRONG, 0.0),
        (PROMPT_RIGHT, 1.0),
        (PROMPT_WRONG, 0.0),
        ((None, True), 1.0),
    ],
)
def test_a_row_without_a_response_weighs_its_prompt_alone(
    labels: tuple[bool | None, bool | None], accuracy: float
) -> None:
    graded = Graded(True, *labels, tokens=1, max_tokens=10)
    assert graded.accuracy == REWARDS["accuracy"](graded).total == accuracy
    assert graded.right == (accuracy == 1)


@pytest.mark.parametrize("name", [name for name in REWARDS if name != "omni-v2-released"])
@pytest.mark.parametrize("labels", [RIGHT, HALF, WRONG, PROMPT_WRONG])
@pytest.mark.parametrize("format_ok", [True, False])
def test_the_parts_show_what_length_did(name: str, labels: tuple[bool, bool | None], format_ok: bool) -> None:
    reward = REWARDS[name](Graded(format_ok, *labels, tokens=400, max_tokens=1000))
    gated = reward.format * reward.accuracy if name != "accuracy" else reward.accuracy
    without_length = gated - 1 if name.startswith("vl") else gated
    assert reward.total == pytest.approx(without_length + reward.length_term)


def test_a_row_without_gold_is_refused() -> None:
    with pytest.raises(NothingToGrade):
        _ = Graded(True, None, None, tokens=1, max_tokens=10).accuracy


@pytest.mark.parametrize(
    ("text", "response_present", "gold", "expected"),
    [
        (completion("harmful", "unharmful"), True, Verdict(HARMFUL, UNHARMFUL), (True, True, True)),
        (completion("harmful", "harmful"), True, Verdict(HARMFUL, UNHARMFUL), (True, True, False)),
        # a missing label is a wrong one
        (completion("harmful"), True, Verdict(HARMFUL, UNHARMFUL), (True, True, False)),
        (completion("harmful"), False, Verdict(HARMFUL), (True, True, None)),
        (completion("harmful", "harmful"), False, Verdict(HARMFUL), (True, True, None)),
        # a response that nobody labelled
        (completion("harmful", "harmful"), True, Verdict(HARMFUL), (True, True, None)),
        # a label of a response that is not there
        (completion("harmful"), False, Verdict(HARMFUL, UNHARMFUL), (True, True, None)),
        ("Request: harmful\nResponse: unharmful", True, Verdict(HARMFUL, UNHARMFUL), (False, False, False)),
        # the format holds and says nothing
        (completion("perhaps"), False, Verdict(HARMFUL), (True, False, None)),
        ("", False, Verdict(UNHARMFUL), (False, False, None)),
        # what a reasoning quotes is never read
        (
            completion("unharmful", reasoning="They wrote Request: harmful."),
            False,
            Verdict(UNHARMFUL),
            (True, True, None),
        ),
    ],
)
def test_grading(text: str, response_present: bool, gold: Verdict, expected: tuple[bool, bool, bool | None]) -> None:
    graded = grade(text, gold, response_present=response_present, tokens=7, max_tokens=9)
    assert (graded.format_ok, graded.prompt_right, graded.response_right) == expected
    assert (graded.tokens, graded.max_tokens) == (7, 9)


@pytest.mark.parametrize("response_expected", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        completion("harmful", "unharmful", "A threat (S1)."),
        completion("none"),
        "nothing",
        completion("harmful") * 2,
    ],
)
def test_labels_alone_are_those_of_the_whole_parse(text: str, response_expected: bool) -> None:
    whole, labels = (
        parse(text, response_expected=response_expected, codes=DEFAULT_CODES),
        parse_labels(text, response_expected=response_expected),
    )
    assert (whole is None) == (labels is None)
    if whole is not None and labels is not None:
        assert (whole.verdict.prompt, whole.verdict.response) == (labels.prompt, labels.response)


PARTS = ("<think>", "</think>", "<result>", "</result>", "Request: harmful", "\n", "Response: None", "x")


@given(st.lists(st.sampled_from(PARTS), max_size=12))
def test_what_parses_has_the_published_format(parts: list[str]) -> None:
    text = "".join(parts)
    assert grade(
        text, Verdict(HARMFUL), response_present=False, tokens=1, max_tokens=1
    ).format_ok == has_published_format(text)


def test_an_unknown_reward_is_refused_by_name() -> None:
    assert reward_named("vl") is REWARDS["vl"]
    with pytest.raises(RewardUnknown, match=r"omni-v3.*omni-v1"):
        reward_named("omni-v3")


def test_grading_and_rewarding_is_fast() -> None:
    """50,000 rows a second are asked for; a tenth of it on a machine that does other things shows the right order."""
    text = completion(
        "harmful",
        "unharmful",
        "\n".join(f"Step {n}: The person asks for a thing that harms others." for n in range(20)),
    )
    gold = Verdict(HARMFUL, UNHARMFUL)
    began = time.perf_counter()
    for _ in range(5000):
        REWARDS["omni-v2"](grade(text, gold, response_present=True, tokens=300, max_tokens=2048))
    assert 5000 / (time.perf_counter() - began) > 5_000
