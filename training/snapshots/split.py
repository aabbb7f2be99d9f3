"""Assign gold rows to train or holdout: near-copies stay together, and no row changes sides between snapshots."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.conf import settings

from annotation.models import GoldLabel, Item
from guardapp.guard.splits import SplitRow, assign_splits, groups, link_keys
from guardapp.guard.verdict import ContextMessage
from training.models import SnapshotRow
from training.snapshots.rows import GoldRow
from training.status import Split

SEED = 17


@dataclass(frozen=True, slots=True)
class Place:
    """A row's side and group. `twice`: it was trained on before and is now in a held-out group."""

    side: Split
    group: str
    twice: bool = False


def places(rows: Sequence[GoldRow]) -> list[Place]:
    """Assign a side to each row, in order.

    A group that an earlier snapshot held out stays held out. A group that was trained on stays in train, since the
    version that the next run starts from has seen it. Hidden gold is held out, because it scores the serving versions.
    """
    split_rows = [split_row(gold) for gold in rows]
    trained = keys_of(Split.TRAIN)
    held_out = keys_of(Split.HOLDOUT) | keys_of_hidden_gold(without=trained)
    sides = assign_splits(split_rows, settings.HOLDOUT_SHARE, SEED, held_out=held_out)
    placed: dict[str, Place] = {}
    for group in groups(split_rows):
        keys = {key for row in group.rows for key in row.link_keys}
        for row in group.rows:
            side = Split(sides[row.id].value)
            if keys & trained and not keys & held_out:
                side = Split.TRAIN
            twice = (
                side == Split.HOLDOUT
                and bool(trained.intersection(row.link_keys))
                and held_out.isdisjoint(row.link_keys)
            )
            placed[row.id] = Place(side, group.key, twice)
    return [placed[row.id] for row in split_rows]


def split_row(gold: GoldRow) -> SplitRow:
    sample, verdict = gold.row.sample, gold.row.verdict
    return SplitRow(
        id=str(gold.gold_id),
        prompt=sample.prompt,
        response=sample.response,
        media_sha256s=gold.media_sha256,
        context=sample.context,
        stratum=f"{sample.modality.value}/{verdict.prompt or verdict.response}",
    )


def media_of(item: Item) -> tuple[str, ...]:
    """The sha256 of the item's media, in order. The caller prefetches `item_media__asset`."""
    return tuple(medium.asset.sha256 for medium in item.item_media.all())


def keys_of(split: Split) -> set[str]:
    """Link keys of all gold that earlier snapshots put on this side."""
    gold = GoldLabel.objects.filter(pk__in=SnapshotRow.objects.filter(split=split).values("gold_id"))
    return set(_keys(gold.select_related("item").prefetch_related("item__item_media__asset").iterator(chunk_size=500)))


def keys_of_hidden_gold(*, without: set[str]) -> set[str]:
    """Link keys of hidden gold, except labels that share any of the given keys."""
    gold = GoldLabel.objects.standing().filter(item__hidden_gold__active=True)
    found: set[str] = set()
    for label in gold.select_related("item").prefetch_related("item__item_media__asset"):
        keys = set(_keys([label]))
        found |= keys if keys.isdisjoint(without) else set()
    return found


def _keys(gold: Iterable[GoldLabel]) -> Iterable[str]:
    for label in gold:
        item = label.item
        context = [ContextMessage.of(message) for message in item.messages]
        yield from link_keys(item.prompt, item.response, media_of(item), context)
