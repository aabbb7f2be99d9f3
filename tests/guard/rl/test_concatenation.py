"""Safety-aware concatenation: labels, texts, pictures, and which rows are paired."""

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from guardapp.guard.rl.concatenation import (
    GAP,
    Box,
    ConcatShareOutOfRange,
    Labelled,
    Layout,
    concatenated,
    joined_label,
    merged_layout,
    pair_rows,
)
from guardapp.guard.rl.merged_picture import merge_images
from guardapp.guard.taxonomy import Harmfulness, MediaKind, Modality
from guardapp.guard.verdict import Frame, MediaPreset, Sample, SeenMedia, Verdict
from tests.guard.tiny_checkpoint import write_frame

H, U = Harmfulness.HARMFUL, Harmfulness.UNHARMFUL
FREE = MediaPreset("free", image_max_pixels=10**9, image_min_pixels=1, size_multiple=1)
Half = tuple[str, str | None, Harmfulness, Harmfulness | None]
PICTURE = SeenMedia(MediaKind.IMAGE, (Frame(Path("a.png")),))


def row(
    number: int, label: Harmfulness | None = U, *, media: tuple[SeenMedia, ...] = (), prompt: str = "Hello"
) -> Labelled:
    return Labelled(Sample(id=f"row-{number}", prompt=prompt, media=media), Verdict(label))


@pytest.mark.parametrize(
    ("labels", "joined"),
    [
        ((H, H), H),
        ((H, U), H),
        ((U, H), H),
        ((U, U), U),
        ((H, None), H),
        ((None, H), H),
        ((U, None), None),
        ((None, None), None),
        ((U,), U),
        ((H,), H),
        ((None,), None),
        ((), None),
    ],
)
def test_the_label_truth_table(labels: tuple[Harmfulness | None, ...], joined: Harmfulness | None) -> None:
    assert joined_label(labels) == joined


@pytest.mark.parametrize(
    ("first", "second", "prompt", "response", "verdict"),
    [
        (("A", None, U, None), ("B", None, H, None), "A\n\nB", None, Verdict(H)),
        (("A", "a", U, U), ("B", "b", U, U), "A\n\nB", "a\n\nb", Verdict(U, U)),
        (("A", "a", H, U), ("B", "b", U, H), "A\n\nB", "a\n\nb", Verdict(H, H)),
        # the one response keeps its label
        (("A", "a", H, U), ("B", None, U, None), "A\n\nB", "a", Verdict(H, U)),
        # half of the response was never judged
        (("A", "a", U, None), ("B", "b", U, U), "A\n\nB", "a\n\nb", Verdict(U)),
        (("", "a", U, U), ("B", "", U, U), "B", "a", Verdict(U, U)),
    ],
)
def test_texts_and_labels_are_joined_each_task_by_itself(
    first: Half,
    second: Half,
    prompt: str,
    response: str | None,
    verdict: Verdict,
) -> None:
    one, other = (
        Labelled(Sample(name, half[0], half[1]), Verdict(half[2], half[3]))
        for name, half in (("1", first), ("2", second))
    )
    joined = concatenated(one, other, None)
    assert joined.sample == Sample("1+2", prompt, response)
    assert joined.verdict == verdict


def test_categories_are_those_of_both_and_the_merged_picture_is_the_medium() -> None:
    one, other = (
        Labelled(Sample("x", media=(PICTURE,)), Verdict(H, categories=codes)) for codes in (("S1", "S2"), ("S2", "S3"))
    )
    joined = concatenated(one, other, PICTURE)
    assert joined.verdict.categories == ("S1", "S2", "S3")
    assert joined.sample.media == (PICTURE,)
    assert joined.sample.modality is Modality.IMAGE


@pytest.mark.parametrize(
    ("first", "second", "layout"),
    [
        # two squares: equally empty and square either way, so side by side
        ((64, 64), (64, 64), Layout(128 + GAP, 64, (Box(0, 0, 64, 64), Box(64 + GAP, 0, 64, 64)))),
        # two wide ones fill a page one above the other
        ((200, 50), (200, 50), Layout(200, 100 + GAP, (Box(0, 0, 200, 50), Box(0, 50 + GAP, 200, 50)))),
        # as empty either way, but squarer side by side; the lower one in the middle of the height
        ((50, 200), (100, 100), Layout(150 + GAP, 200, (Box(0, 0, 50, 200), Box(50 + GAP, 50, 100, 100)))),
    ],
)
def test_the_page_wastes_least_and_keeps_scale(first: tuple[int, int], second: tuple[int, int], layout: Layout) -> None:
    assert merged_layout(first, second, FREE) == layout


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((640, 480), (480, 640)),
        ((1024, 32), (32, 1024)),
        ((1000, 1000), (32, 32)),
        ((8, 8), (8, 8)),
    ],
)
def test_the_page_fits_the_budget_and_the_pictures_fit_the_page_apart(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    preset = MediaPreset("small", image_max_pixels=65_536)
    layout = merged_layout(first, second, preset)
    assert 4_096 <= layout.width * layout.height <= 65_536
    assert layout.width % 32 == layout.height % 32 == 0
    one, other = layout.boxes
    for box in (one, other):
        assert 0 <= box.left <= box.left + box.width <= layout.width + 1
        assert 0 <= box.top <= box.top + box.height <= layout.height + 1
    assert one.left + one.width <= other.left or one.top + one.height <= other.top


def test_the_pixels_stand_where_the_layout_says(tmp_path: Path) -> None:
    red, blue = (
        SeenMedia(MediaKind.IMAGE, (Frame(write_frame(tmp_path / f"{name}.png", colour, 64)),))
        for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255)))
    )
    merged = merge_images(red, blue, FREE, tmp_path / "merged.png")
    assert [path.name for path in sorted(tmp_path.glob("*.png*"))] == ["blue.png", "merged.png", "red.png"]
    with Image.open(merged.frames[0].path) as page:
        assert page.size == (128 + GAP, 64)
        assert page.getpixel((10, 10)) == page.getpixel((63, 63)) == (255, 0, 0)
        assert page.getpixel((64 + GAP // 2, 32)) == (255, 255, 255)
        assert page.getpixel((64 + GAP, 0)) == page.getpixel((143, 63)) == (0, 0, 255)


@pytest.mark.parametrize(("rows", "share", "pairs"), [(80, 0.2, 20), (40, 0.0, 0), (10, 0.5, 10), (9_600, 0.2, 2_400)])
def test_pairs_are_the_wanted_share_of_everything(rows: int, share: float, pairs: int) -> None:
    drawn = pair_rows([row(number) for number in range(rows)], share=share, balance=False, seed=1)
    assert len(drawn) == pairs
    assert all(one != other for one, other in drawn)
    assert len({frozenset(pair) for pair in drawn}) == pairs


def test_pairs_follow_from_the_seed() -> None:
    rows = [row(number) for number in range(50)]
    drawn = pair_rows(rows, share=0.3, balance=True, seed=1)
    assert drawn == pair_rows(rows, share=0.3, balance=True, seed=1)
    assert drawn != pair_rows(rows, share=0.3, balance=True, seed=2)


def test_pairs_are_of_one_modality_and_leave_out_what_cannot_be_joined() -> None:
    video = SeenMedia(MediaKind.VIDEO, (Frame(Path("v.png")),), 2.0)
    rows = [
        *(row(n) for n in range(4)),
        *(row(n, media=(PICTURE,)) for n in range(4)),
        *(row(n, media=(PICTURE,), prompt="") for n in range(4)),
        *(row(n, media=(video,)) for n in range(4)),
        row(0, media=(PICTURE, PICTURE)),
        row(0, None),
    ]
    drawn = pair_rows(rows, share=0.4, balance=False, seed=3)
    modalities = Counter((rows[one].sample.modality, rows[other].sample.modality) for one, other in drawn)
    assert set(modalities) == {(kind, kind) for kind in (Modality.TEXT, Modality.TEXT_IMAGE, Modality.IMAGE)}
    assert max(index for pair in drawn for index in pair) < 12


def test_balancing_makes_as_many_unharmful_pairs_as_harmful_ones() -> None:
    rows = [row(number, H if number % 2 else U) for number in range(200)]

    def labels(balance: bool) -> Counter[Harmfulness | None]:
        pairs = pair_rows(rows, share=0.2, balance=balance, seed=5)
        return Counter(joined_label([rows[index].verdict.prompt for index in pair]) for pair in pairs)

    assert labels(True) == {H: 25, U: 25}
    assert labels(False)[H] > 2 * labels(False)[U]


def test_pairs_run_out_quietly_and_a_share_of_everything_is_refused() -> None:
    assert len(pair_rows([row(0), row(1)], share=0.9, balance=False, seed=1)) == 1
    assert pair_rows([row(0, H), row(1, U)], share=0.9, balance=True, seed=1) in ([(0, 1)], [(1, 0)])
    assert pair_rows([row(0)], share=0.5, balance=False, seed=1) == []
    with pytest.raises(ConcatShareOutOfRange, match="concat_share=1"):
        pair_rows([row(0), row(1)], share=1.0, balance=False, seed=1)
