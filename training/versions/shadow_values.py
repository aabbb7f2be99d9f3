"""Compare a shadow version's predictions of live items with production's."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import F, Q, QuerySet

from annotation.database.lists import count_some, long_texts
from annotation.models import GoldLabel, ModelVersion, Prediction, ShadowRequest
from annotation.models.claims import SHADOW_CLAIMS

PAGE = 20
MOST_PREDICTIONS = 10_000  # number of shadow predictions


@dataclass(frozen=True, slots=True)
class ShadowSummary:
    """Agreement over the newest MOST_PREDICTIONS live items that both predicted.

    `shadow_right` and `production_right` count disagreements settled since; both may be wrong.
    """

    compared: int
    disagreements: int
    waiting: int
    worn_out: int
    shadow_right: int
    production_right: int

    @property
    def agreement(self) -> float | None:
        """Share of compared items with equal labels; None if there are none."""
        return 1 - self.disagreements / self.compared if self.compared else None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An item that the two judge differently. `gold` is the settled label, if any."""

    shadow: Prediction
    production: Prediction
    gold: GoldLabel | None


@dataclass(frozen=True, slots=True)
class DisagreementsPage:
    """A page, newest first. Pass `next_before` as `before` to get the next page."""

    rows: Sequence[Disagreement]
    next_before: int | None


def has_shadowed(version: ModelVersion) -> bool:
    return version.shadow_share > 0 or Prediction.objects.filter(version=version, shadow=True).exists()


def shadow_summary(version: ModelVersion) -> ShadowSummary:
    newest = _compared(version).order_by("-pk").values("pk")[:MOST_PREDICTIONS]
    compared, requests = Prediction.objects.filter(pk__in=newest), ShadowRequest.objects.filter(version=version)
    different = compared.filter(_differs())
    settled = different.filter(item__gold_labels__in=GoldLabel.objects.standing())
    shadow_right = settled.filter(_as_gold(""), parsed=True).count()
    production_right = settled.filter(_as_gold("item__prediction__"), item__prediction__parsed=True).count()
    return ShadowSummary(
        compared=compared.count(),
        disagreements=different.count(),
        shadow_right=shadow_right,
        production_right=production_right,
        waiting=count_some(requests.filter(attempts__lt=SHADOW_CLAIMS.most_attempts)),
        worn_out=count_some(requests.filter(attempts__gte=SHADOW_CLAIMS.most_attempts)),
    )


def disagreements(version: ModelVersion, *, before: int | None = None) -> DisagreementsPage:
    different = _compared(version).filter(_differs())
    if before is not None:
        different = different.filter(pk__lt=before)
    newest = different.select_related("item", "item__prediction", "item__prediction__version").order_by("-pk")
    found = list(newest.defer("rollouts", "item__metadata", "item__prediction__rollouts")[: PAGE + 1])
    shown = found[:PAGE]
    gold = {
        label.item_id: label
        for label in GoldLabel.objects.standing()
        .filter(item__in=[row.item_id for row in shown])
        .defer(*long_texts(gold=""))
    }
    rows = [Disagreement(row, row.item.prediction, gold.get(row.item_id)) for row in shown if row.item.prediction]
    return DisagreementsPage(rows, shown[-1].pk if len(found) > PAGE else None)


def _compared(version: ModelVersion) -> QuerySet[Prediction]:
    """Shadow predictions of items with a prediction by the serving version."""
    return Prediction.objects.filter(version=version, shadow=True, item__prediction__isnull=False)


def _differs() -> Q:
    return (
        ~Q(parsed=F("item__prediction__parsed"))
        | _different("prompt_label", "item__prediction__prompt_label")
        | _different("response_label", "item__prediction__response_label")
    )


def _different(one: str, other: str) -> Q:
    """Whether exactly one is null, or both are set and unequal: SQL's NOT would drop rows with a null."""
    missing = [Q(**{f"{name}__isnull": True}) for name in (one, other)]
    return (missing[0] & ~missing[1]) | (~missing[0] & missing[1]) | (~missing[0] & ~missing[1] & ~Q(**{one: F(other)}))


def _as_gold(prefix: str) -> Q:
    """Whether the labels equal gold for each task that gold labels."""
    labels = Q()
    for name in ("prompt_label", "response_label"):
        gold = f"item__gold_labels__{name}"
        labels &= Q(**{f"{gold}__isnull": True}) | Q(**{f"{prefix}{name}": F(gold)})
    return labels
