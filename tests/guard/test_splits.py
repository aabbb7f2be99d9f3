from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardapp.guard.splits import (
    HoldoutShareOutOfRange,
    Split,
    SplitRow,
    assign_splits,
    group_key,
    groups,
    link_keys,
    normalise_text,
)

ROWS = st.lists(
    st.builds(
        SplitRow,
        id=st.uuids().map(str),
        prompt=st.sampled_from(["", "a", "A!", "b", "c\u200b", "C", "d", "e", "?"]),
        response=st.sampled_from([None, "", "yes", "no"]),
        media_sha256s=st.lists(st.sampled_from("123456"), max_size=2).map(tuple),
        stratum=st.sampled_from(["", "x", "y"]),
    ),
    max_size=30,
    unique_by=lambda row: row.id,
)
SHARES = st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How to kill a process?", "how  to KILL a process"),
        ("ｆｕｌｌ width", "full width"),
        ("zero\u200bwidth", "zerowidth"),
        ("don’t", "don't"),
        ("Straße", "STRASSE"),
        ("a\u00adb\n", "ab"),
        ("ﬁne", "fine"),
    ],
)
def test_near_copies_have_one_normal_form(one: str, other: str) -> None:
    assert normalise_text(one) == normalise_text(other)


@pytest.mark.parametrize(("one", "other"), [("?", "!"), ("C++", "C"), ("1 2", "12"), ("a 🔪", "a"), ("", "…")])
def test_different_texts_stay_different(one: str, other: str) -> None:
    assert normalise_text(one) != normalise_text(other)


def test_what_links_rows() -> None:
    assert link_keys("a", "yes", ()) == link_keys("A.", None, ())
    assert link_keys("a", None, ("ff",)) == link_keys("b", None, ("FF",)) != link_keys("a", None, ())
    assert not set(link_keys("follow the video", None, ("1",))) & set(link_keys("follow the video", None, ("2",)))
    assert link_keys("", "yes", ()) == link_keys(" ", "YES", ())
    assert link_keys("", None, ()) == ()
    assert link_keys("", "", ()) == ()
    assert len(link_keys("", None, ("1", "2", "1"))) == 2


def test_a_group_key_fits_its_column_and_ignores_the_response() -> None:
    assert group_key("a", "yes", ()) == group_key("a", "no", ())
    assert {len(group_key(prompt, None, media)) for prompt in ("", "a", "\ud800") for media in ((), ("1",))} == {64}
    assert group_key("", None, ("1",)) != group_key("", None, ("2",))


def test_rows_are_grouped_through_a_third() -> None:
    rows = [
        SplitRow("1", media_sha256s=("a",)),
        SplitRow("2", media_sha256s=("b",)),
        SplitRow("3", media_sha256s=("a", "b")),
    ]
    assert [[row.id for row in group.rows] for group in groups(rows)] == [["1", "2", "3"]]
    assert len(groups(rows[:2])) == 2


def test_rows_without_text_or_media_are_not_merged() -> None:
    assert len(groups([SplitRow("1"), SplitRow("2"), SplitRow("3", prompt=" ")])) == 3


def test_a_generic_instruction_does_not_merge_its_videos() -> None:
    rows = [SplitRow(str(i), "Follow the instructions shown in the video", media_sha256s=(str(i),)) for i in range(10)]
    assert len(groups(rows)) == 10


@given(ROWS, SHARES, st.integers(0, 5))
def test_nothing_leaks_between_train_and_holdout(rows: list[SplitRow], share: float, seed: int) -> None:
    splits = assign_splits(rows, share, seed)
    assert set(splits) == {row.id for row in rows}
    sides: dict[str, set[Split]] = defaultdict(set)
    for row in rows:
        for medium in row.media_sha256s:
            sides[f"media {medium}"].add(splits[row.id])
        if not row.media_sha256s and row.prompt:
            sides[f"prompt {normalise_text(row.prompt)}"].add(splits[row.id])
    assert all(len(side) == 1 for side in sides.values())


@given(ROWS, SHARES.filter(bool), st.integers(0, 5))
def test_a_small_set_has_both_sides_when_it_can(rows: list[SplitRow], share: float, seed: int) -> None:
    splits = assign_splits(rows, share, seed)
    strata: dict[str, set[Split]] = defaultdict(set)
    sizes: dict[str, int] = defaultdict(int)
    for group in groups(rows):
        sizes[group.stratum] += 1
        strata[group.stratum].add(splits[group.rows[0].id])
    if sum(sizes.values()) >= 2:
        assert set(splits.values()) == set(Split)
    assert all(len(strata[stratum]) == 2 for stratum, size in sizes.items() if size >= 2)


@given(ROWS, SHARES)
def test_the_order_of_rows_does_not_matter(rows: list[SplitRow], share: float) -> None:
    assert assign_splits(rows, share, 0) == assign_splits(rows[::-1], share, 0)


@given(ROWS, ROWS, SHARES)
def test_a_row_stays_on_its_side_in_later_snapshots(
    earlier: list[SplitRow], later: list[SplitRow], share: float
) -> None:
    before = assign_splits(earlier, share, 0)
    keys = {split: {key for row in earlier if before[row.id] is split for key in row.link_keys} for split in Split}
    rows = {row.id: row for row in [*earlier, *later]}
    after = assign_splits(rows.values(), share, 1, held_out=keys[Split.HOLDOUT], trained=keys[Split.TRAIN])
    for row in earlier:
        if row.link_keys and before[row.id] is Split.HOLDOUT:
            assert after[row.id] is Split.HOLDOUT
    for group in groups(rows.values()):
        held = any(key in keys[Split.HOLDOUT] for row in group.rows for key in row.link_keys)
        trained = any(key in keys[Split.TRAIN] for row in group.rows for key in row.link_keys)
        if trained and not held:
            assert {after[row.id] for row in group.rows} == {Split.TRAIN}


def test_the_share_is_kept_and_the_seed_matters() -> None:
    rows = [SplitRow(str(i), f"prompt {i}") for i in range(2000)]
    splits = assign_splits(rows, 0.2, 0)
    assert 0.17 < list(splits.values()).count(Split.HOLDOUT) / 2000 < 0.23
    assert splits != assign_splits(rows, 0.2, 1)
    grown = assign_splits([*rows, *(SplitRow(f"new {i}", f"new {i}") for i in range(500))], 0.2, 0)
    assert all(grown[row_id] is split for row_id, split in splits.items())


def test_a_group_larger_than_the_holdout_goes_to_train() -> None:
    rows = [SplitRow(f"same {i}", "same", response=str(i)) for i in range(50)] + [
        SplitRow(str(i), str(i)) for i in range(50)
    ]
    for seed in range(20):
        assert assign_splits(rows, 0.3, seed)["same 0"] is Split.TRAIN


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_an_impossible_share_is_refused(share: float) -> None:
    with pytest.raises(HoldoutShareOutOfRange, match="below 1"):
        assign_splits([], share, 0)
