"""Safety-aware concatenation: combine two rows into one harder row, for RL only. Source: GuardReasoner-VL.

From the paper: rows are paired at random, their texts joined and their pictures merged into one. A label is unharmful
only if both are unharmful, else harmful, separately for each task. Concatenations are 20% of the RL rows and have no
target completion.

Our own choices, where no published ones were found:

* Separator: a blank line, between the prompts and between the responses. An empty text adds no separator.
* Pairs: both rows have the same modality (text, image or text-image), no pair twice, no row with itself. Videos, rows
  with several pictures, conversations and rows without a gold prompt label are excluded.
* Merged picture: side by side or one above the other, whichever wastes less of the page, then whichever is closer to a
  square, then side by side. Pictures keep their scale and are centred on white, `GAP` pixels apart; the page is then
  fitted to the media preset's budget like any picture.
* Response label: if only one row has a response, that row's label. If a response has no gold label, the joined label is
  harmful if the other is, and missing otherwise.
* Label balancing: without it, pairs are drawn as they come, and most are harmful; with it, every second pair is
  unharmful.

The pixels are merged in `guardapp.guard.rl.merged_picture`.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from guardapp.guard.media.sizes import fit_size
from guardapp.guard.taxonomy import Harmfulness, MediaKind, Modality
from guardapp.guard.verdict import MediaPreset, Sample, SeenMedia, Verdict

SEPARATOR = "\n\n"
GAP = 16  # pixels of white between two pictures
# Draws before giving up on one more pair: few rows have few pairs.
TRIES = 50
PAIRED = (Modality.TEXT, Modality.IMAGE, Modality.TEXT_IMAGE)

Size = tuple[int, int]  # width, height


class ConcatShareOutOfRange(ValueError):
    """The share of concatenated rows must be at least 0 and below 1."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A sample with its gold verdict."""

    sample: Sample
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Box:
    """The position of a picture on the page, in pixels from the top left corner."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A white page with two pictures on it."""

    width: int
    height: int
    boxes: tuple[Box, Box]


def pair_rows(rows: Sequence[Labelled], *, share: float, balance: bool, seed: int) -> list[tuple[int, int]]:
    """Return index pairs such that concatenations become `share` of all rows; fewer if the pairs run out.

    The same arguments give the same pairs. Raises ConcatShareOutOfRange.
    """
    if not 0 <= share < 1:
        raise ConcatShareOutOfRange(f"concat_share={share} is not at least 0 and below 1.")
    wanted = round(len(rows) * share / (1 - share))
    random = Random(seed)
    pools = _pools(rows)
    labels: tuple[Harmfulness | None, ...] = (Harmfulness.HARMFUL, Harmfulness.UNHARMFUL) if balance else (None,)
    firsts = {label: [index for pool in pools.values() for index in _firsts(pool, label)] for label in labels}
    pairs: dict[tuple[int, int], None] = {}
    for number in range(wanted):
        label = labels[number % len(labels)]
        for _ in range(TRIES if firsts[label] else 0):
            one = random.choice(firsts[label])
            pool = pools[rows[one].sample.modality]
            other = random.choice(pool.unharmful if label is Harmfulness.UNHARMFUL else pool.all)
            pair = (one, other) if random.random() < 0.5 else (other, one)
            if one != other and pair not in pairs and pair[::-1] not in pairs:
                pairs[pair] = None
                break
    return list(pairs)


def concatenated(first: Labelled, second: Labelled, merged: SeenMedia | None) -> Labelled:
    """Join two rows into one. `merged` is their merged picture, or None without pictures."""
    one, other = first.sample, second.sample
    responses = [sample.response for sample in (one, other) if sample.response is not None]
    return Labelled(
        Sample(
            id=f"{one.id}+{other.id}",
            prompt=joined_text([one.prompt, other.prompt]),
            response=joined_text(responses) if responses else None,
            media=(merged,) if merged else (),
            policy_text=one.policy_text,
            codes=one.codes | other.codes,
        ),
        Verdict(
            prompt=joined_label([first.verdict.prompt, second.verdict.prompt]),
            response=joined_label([row.verdict.response for row in (first, second) if row.sample.response is not None]),
            categories=tuple(dict.fromkeys(first.verdict.categories + second.verdict.categories)),
        ),
    )


def joined_text(texts: Sequence[str]) -> str:
    return SEPARATOR.join(text for text in texts if text.strip())


def joined_label(labels: Sequence[Harmfulness | None]) -> Harmfulness | None:
    """Harmful if any label is harmful, unharmful if all are; None if one is missing or there are none."""
    if Harmfulness.HARMFUL in labels:
        return Harmfulness.HARMFUL
    return Harmfulness.UNHARMFUL if labels and None not in labels else None


def merged_layout(first: Size, second: Size, preset: MediaPreset) -> Layout:
    """Lay out two pictures of these (width, height) on one page. Raises MediaTooNarrow."""
    beside = (first[0] + second[0], max(first[1], second[1]))
    above = (max(first[0], second[0]), first[1] + second[1])
    # ties go to the first, side by side
    width, height = min((beside, above), key=lambda page: (page[0] * page[1], max(page) / min(page)))
    if (width, height) == beside:
        width += GAP
        corners = [(0, (height - first[1]) // 2), (first[0] + GAP, (height - second[1]) // 2)]
    else:
        height += GAP
        corners = [((width - first[0]) // 2, 0), ((width - second[0]) // 2, first[1] + GAP)]
    page = fit_size(width, height, preset.image_min_pixels, preset.image_max_pixels, preset.size_multiple)
    across, down = page[0] / width, page[1] / height
    one, other = (
        Box(round(left * across), round(top * down), max(1, round(size[0] * across)), max(1, round(size[1] * down)))
        for (left, top), size in zip(corners, (first, second), strict=True)
    )
    return Layout(*page, (one, other))


@dataclass(frozen=True, slots=True)
class _Pool:
    """Row indices of one modality, and the subsets with a harmful and with an unharmful prompt."""

    all: list[int]
    harmful: list[int]
    unharmful: list[int]


def _pools(rows: Sequence[Labelled]) -> dict[Modality, _Pool]:
    """The rows that can be paired. A modality with a single such row has no pairs."""
    by_modality: Mapping[Modality, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        modality = row.sample.modality
        pictures = [medium for medium in row.sample.media if medium.kind is MediaKind.IMAGE]
        alone = len(pictures) > 1 or row.sample.context
        if modality in PAIRED and not alone and row.verdict.prompt is not None:
            by_modality[modality].append(index)
    return {
        modality: _Pool(
            indices, *([index for index in indices if rows[index].verdict.prompt is label] for label in Harmfulness)
        )
        for modality, indices in by_modality.items()
        if len(indices) > 1
    }


def _firsts(pool: _Pool, label: Harmfulness | None) -> Iterator[int]:
    """The rows that can start a pair whose joined prompt label is `label`; None means any pair."""
    if label is None:
        yield from pool.all
    elif label is Harmfulness.HARMFUL:
        yield from pool.harmful
    elif len(pool.unharmful) > 1:
        yield from pool.unharmful
