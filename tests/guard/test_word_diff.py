import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardapp.guard.word_diff import Segment, word_diff

TEXTS = st.lists(st.sampled_from(["a", "b", "the", " ", "\n", "  ", "é", "<b>"]), max_size=20).map("".join) | st.text(
    max_size=30
)


@pytest.mark.parametrize(
    ("before", "after", "segments"),
    [
        ("", "", []),
        ("same words", "same words", [("equal", "same words")]),
        ("", "new", [("insert", "new")]),
        ("it is harmful", "it is not harmful", [("equal", "it is "), ("insert", "not "), ("equal", "harmful")]),
        ("it is fine", "it is bad", [("equal", "it is "), ("delete", "fine"), ("insert", "bad")]),
        ("a b", "a", [("equal", "a"), ("delete", " b")]),
    ],
)
def test_a_change_is_shown_word_by_word(before: str, after: str, segments: list[tuple[str, str]]) -> None:
    assert [(segment.op, segment.text) for segment in word_diff(before, after)] == segments


@given(TEXTS, TEXTS)
def test_both_versions_can_be_put_together_again(before: str, after: str) -> None:
    segments = word_diff(before, after)
    assert "".join(segment.text for segment in segments if segment.op != "insert") == before
    assert "".join(segment.text for segment in segments if segment.op != "delete") == after
    assert all(segment.text for segment in segments)
    assert all(left.op != right.op for left, right in pairwise(segments))


def test_a_long_rewrite_is_shown_at_once() -> None:
    start = time.process_time()
    before, after = "x " + "a b " * 20_000 + "y", "x " + "b c " * 20_000 + "y"
    segments = word_diff(before, after)
    assert time.process_time() - start < 2
    assert [segment.op for segment in segments] == ["equal", "delete", "insert", "equal"]
    assert segments[0] == Segment("equal", "x ")
