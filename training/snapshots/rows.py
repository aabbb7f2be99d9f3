"""Gold → the rows of a snapshot: the guard's input, the settled labels and the target completion."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.utils.translation import gettext_noop

from annotation.media.files import frames_at
from annotation.models import GoldLabel, Item, Prediction
from annotation.predictions.active_policy import policy_codes, policy_text
from annotation.status import TargetSource
from guardapp.guard.media.decode import MediaError, load_seen
from guardapp.guard.media.errors import MediaStoreAway
from guardapp.guard.parsing import PromptLabelMissing, parse, render
from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import ContextMessage, Judgement, Sample, SeenMedia, Verdict
from training.errors import MediaNotReached
from training.learning.rows import Row

WITHOUT_TARGET = (TargetSource.PENDING, TargetSource.UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class GoldRow:
    """A gold label as a row, before the split. `why_not_train` is "" if it may be trained on."""

    gold_id: int
    row: Row
    media_sha256: tuple[str, ...]
    hard: bool
    policy_version: str  # "slug vN" of the policy used in the judgement
    why_not_train: str = ""


@dataclass(frozen=True, slots=True)
class Drops:
    """The number of dropped rows by reason."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, reason: str) -> None:
        self.counts[reason] += 1


def gold_rows(gold: Iterable[GoldLabel], drops: Drops, *, with_policy: bool = False) -> Iterable[GoldRow]:
    """Yield the usable rows and count the others in `drops`; `with_policy` includes each label's policy text."""
    active = policy_codes(None)
    for label in gold:
        if label.prompt_label is None and label.response_label is None:
            drops.add(gettext_noop("no label"))
            continue
        if label.stale_at is not None:
            drops.add(gettext_noop("stale: the policy of its category has changed"))
            continue
        prediction = label.prediction or label.item.prediction
        try:
            media = seen_media(prediction)
        except MediaStoreAway as error:
            # temporary: says nothing about the row
            raise MediaNotReached(str(error)) from error
        except MediaError:
            drops.add(gettext_noop("frames are gone"))
            continue
        if len(media) != len(label.item.item_media.all()):
            drops.add(gettext_noop("the guard saw no media"))
            continue
        if with_policy:
            text, codes = policy_text(label.policy_version), policy_codes(label.policy_version)
        else:
            text, codes = None, active
        yield _gold_row(label, media, text, codes)


def seen_media(prediction: Prediction | None) -> tuple[SeenMedia, ...]:
    """Load the frames stored at prediction time. Raises MediaError."""
    if prediction is None:
        return ()
    return tuple(load_seen(frames_at(medium["folder"])).seen for medium in prediction.media_seen)


def _gold_row(label: GoldLabel, media: tuple[SeenMedia, ...], policy: str | None, codes: frozenset[str]) -> GoldRow:
    item = label.item
    verdict = verdict_of(label)
    completion, why_not = target_completion(label, verdict, item)
    row = Row(
        sample=Sample(
            id=str(item.pk),
            prompt=item.prompt,
            response=item.response,
            media=media,
            policy_text=policy,
            codes=codes,
            context=tuple(ContextMessage.of(message) for message in item.messages),
        ),
        verdict=verdict,
        completion=completion,
        source=item.source,
        target_source=label.target_source,
        extra={"item": f"{item.source}/{item.external_id}"},
    )
    hashes = tuple(medium.asset.sha256 for medium in item.item_media.all())
    return GoldRow(
        label.pk,
        row,
        hashes,
        hard=hasattr(label, "hard_sample"),
        policy_version=str(label.policy_version),
        why_not_train=why_not,
    )


def verdict_of(label: GoldLabel) -> Verdict:
    return Verdict(
        prompt=Harmfulness(label.prompt_label) if label.prompt_label else None,
        response=Harmfulness(label.response_label) if label.response_label else None,
        categories=tuple(label.categories),
    )


def target_completion(label: GoldLabel, verdict: Verdict, item: Item) -> tuple[str, str]:
    """Return the target completion and "", or "" and the reason. It must parse back to the gold verdict."""
    if label.target_source in WITHOUT_TARGET or not label.target_steps:
        return "", f"target {label.target_source}"
    answered = item.response is not None
    try:
        completion = render(Judgement(tuple(label.target_steps), verdict), response_present=answered)
    except PromptLabelMissing:
        return "", gettext_noop("no prompt label")
    read = parse(completion, response_expected=answered, codes=verdict.categories)
    if (
        read is None
        or not read.steps
        or (read.verdict.prompt, read.verdict.response) != (verdict.prompt, verdict.response)
    ):
        return "", gettext_noop("target does not read back as gold")
    return completion, ""
