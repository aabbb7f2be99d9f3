"""Assign rows to train or holdout without leakage.

Rows that share text or media stay on the same side, and a row stays on the side that it was once assigned to.

What links two rows (`link_keys`):
* a text row: its normalised prompt. The response is ignored, so all responses to one prompt share a side.
* a text row with an empty prompt: its normalised response; with neither, nothing links it.
* a row with media: each of its media hashes, and not its text. A generic instruction ("Follow the instructions in the
  video") accompanies many unrelated media and would put all of them into one group. The same text with the same media
  is already linked by the media.
* a text row of a conversation: all that was said up to and with its prompt, and up to and with each earlier message of
  the person but the first. So the turns of one conversation share a side. The prompt alone does not link it: "Go on."
  stands in many unrelated conversations. System messages do not count.
"""

import hashlib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from guardapp.guard.draws import sticky_draw
from guardapp.guard.verdict import ContextMessage


class Split(StrEnum):
    TRAIN = "train"
    HOLDOUT = "holdout"


class HoldoutShareOutOfRange(ValueError):
    """The holdout share must be at least 0 and below 1."""


@dataclass(frozen=True, slots=True)
class SplitRow:
    """What decides a row's side. `stratum`: what both sides should contain, e.g. "video/harmful"; "" for none."""

    id: str
    prompt: str = ""
    response: str | None = None
    media_sha256s: tuple[str, ...] = ()
    stratum: str = ""
    context: tuple[ContextMessage, ...] = ()

    @property
    def link_keys(self) -> tuple[str, ...]:
        return link_keys(self.prompt, self.response, self.media_sha256s, self.context)


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that must share a side. `key` is the smallest link key of its rows: 64 hex digits."""

    key: str
    rows: tuple[SplitRow, ...]

    @property
    def stratum(self) -> str:
        """The most common stratum of its rows; ties are broken alphabetically."""
        counts = Counter(row.stratum for row in self.rows)
        return min(counts, key=lambda stratum: (-counts[stratum], stratum))


def normalise_text(text: str) -> str:
    """Normalise text so that disguised near-copies become equal.

    NFKC, case folding, invisible characters dropped, punctuation replaced by blanks, blanks collapsed. Text of only
    punctuation keeps it, so that "?" and "!" differ from each other and from "".
    """
    visible = "".join(char for char in text if unicodedata.category(char) != "Cf")
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())
    words = "".join(" " if unicodedata.category(char).startswith(("P", "C")) else char for char in folded)
    return " ".join(words.split()) or " ".join(folded.split())


def link_keys(
    prompt: str, response: str | None, media_sha256s: Sequence[str], context: Sequence[ContextMessage] = ()
) -> tuple[str, ...]:
    """Return sorted keys of 64 hex digits each, or () if nothing links the row. Rows with a common key share a side."""
    if media_sha256s:
        return tuple(sorted({_digest("media", sha256.lower()) for sha256 in media_sha256s}))
    if spoken := [one for one in context if one.role != "system"]:
        return tuple(sorted(_conversation_keys(spoken, prompt)))
    if words := normalise_text(prompt):
        return (_digest("prompt", words),)
    if response is not None and (words := normalise_text(response)):
        return (_digest("response", words),)
    return ()


def _conversation_keys(spoken: Sequence[ContextMessage], prompt: str) -> Iterator[str]:
    texts: list[str] = []
    by_person = 0
    for message in (*spoken, ContextMessage("user", prompt)):
        texts.append(normalise_text(message.text))
        by_person += message.role == "user"
        if message.role == "user" and by_person > 1:
            yield _digest("conversation", *texts)
    if by_person == 1:
        yield _digest("conversation", *texts)


def group_key(
    prompt: str, response: str | None, media_sha256s: Sequence[str], context: Sequence[ContextMessage] = ()
) -> str:
    """Return one key of 64 hex digits to store: the smallest of the row's link keys.

    Rows without text and media share one key of their own. Rows with equal keys always share a side; rows with several
    media may also be linked through another medium.
    """
    return min(link_keys(prompt, response, media_sha256s, context), default=_digest("nothing"))


def groups(rows: Iterable[SplitRow]) -> list[Group]:
    """The connected components of rows over shared link keys and ids.

    Sorted by key; the order of `rows` does not matter.
    """
    rows = list(rows)
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    nodes = [(_digest("id", row.id), *row.link_keys) for row in rows]
    for own, *links in nodes:
        for link in links:
            parent[root(link)] = root(own)
    members: dict[str, list[int]] = defaultdict(list)
    for index, (own, *_) in enumerate(nodes):
        members[root(own)].append(index)
    found = [
        Group(
            key=min((link for i in indices for link in nodes[i][1:]), default=nodes[indices[0]][0]),
            rows=tuple(sorted((rows[i] for i in indices), key=lambda row: row.id)),
        )
        for indices in members.values()
    ]
    return sorted(found, key=lambda group: group.key)


def assign_splits(
    rows: Iterable[SplitRow],
    holdout_share: float,
    seed: int,
    *,
    held_out: Collection[str] = (),
    trained: Collection[str] = (),
) -> dict[str, Split]:
    """Return the side of each row id. A group is assigned as a whole, by a hash of the seed and its key.

    A row's side does not depend on the other rows, except for these rules, in order:
    1. A group with a link key in `held_out` (the holdout of an earlier snapshot) stays in the holdout.
    2. Otherwise, one with a link key in `trained` (the train side) stays in train: a guard may have learnt it.
    3. A group with more rows than the whole holdout should have goes to train.
    4. Each stratum, and then the whole set, with two or more groups gets at least one on each side as far as rules 1
       and 2 allow. If the holdout has none, the group with the fewest rows and the lowest draw moves there; if train
       has none, the group with the highest draw does.

    `holdout_share` is a share of groups, 0 <= share < 1; 0 adds nothing to the holdout. Raises HoldoutShareOutOfRange.
    """
    if not 0 <= holdout_share < 1:
        raise HoldoutShareOutOfRange(HoldoutShareOutOfRange.__doc__)
    every = groups(rows)
    kept_out = _touched(every, held_out)
    fixed = kept_out | _touched(every, trained)
    free = [group for group in every if group.key not in fixed]
    draws = {group.key: sticky_draw(seed, group.key) for group in free}
    most_rows = max(1.0, holdout_share * sum(len(group.rows) for group in every))
    holdout = kept_out | {
        group.key for group in free if len(group.rows) <= most_rows and draws[group.key] < holdout_share
    }
    if holdout_share > 0:
        for stratum in sorted({group.stratum for group in every}):
            holdout = _with_both_sides([group for group in every if group.stratum == stratum], holdout, draws)
        holdout = _with_both_sides(every, holdout, draws)
    return {row.id: Split.HOLDOUT if group.key in holdout else Split.TRAIN for group in every for row in group.rows}


def side_of_keys(keys: Sequence[str], holdout_share: float, seed: int) -> Split | None:
    """Return the side of a row in a stream, by the same draw as `assign_splits` without rules 1 to 4.

    None if its keys are drawn to different sides: the row would link them, so it belongs to neither.
    """
    sides = {Split.HOLDOUT if sticky_draw(seed, key) < holdout_share else Split.TRAIN for key in keys} or {Split.TRAIN}
    return sides.pop() if len(sides) == 1 else None


def _touched(every: Iterable[Group], keys: Collection[str]) -> set[str]:
    wanted = frozenset(keys)
    return {group.key for group in every if any(not wanted.isdisjoint(row.link_keys) for row in group.rows)}


def _with_both_sides(among: Sequence[Group], holdout: set[str], draws: Mapping[str, float]) -> set[str]:
    """Move one group if all are on one side. `draws` holds the groups that may move."""
    free = [group for group in among if group.key in draws]
    held = sum(group.key in holdout for group in among)
    if len(among) < 2 or not free:
        return holdout
    if held == 0:
        return holdout | {min(free, key=lambda group: (len(group.rows), draws[group.key])).key}
    if held == len(among):
        return holdout - {max(free, key=lambda group: draws[group.key]).key}
    return holdout


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
