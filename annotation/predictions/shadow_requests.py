"""Requests for shadow predictions, and the worker's claims on them.

They are written in the same transaction as production's predictions, so each item is requested once even if workers
die.
"""

from collections.abc import Sequence

from django.db.models import QuerySet

from annotation.database.claims import Claim
from annotation.models import Item, ModelVersion, ShadowRequest
from annotation.models.claims import SHADOW_CLAIMS
from guardapp.guard.draws import sticky_draw


def shadow_version() -> ModelVersion | None:
    """Return the version that shadows production; None if there is none."""
    return ModelVersion.objects.filter(shadow_share__gt=0).first()


def is_shadowed(version_id: int, item_id: int, share: float) -> bool:
    """Whether the item is in the version's share: stable per version, and larger shares include smaller ones."""
    return sticky_draw("shadow", version_id, item_id) < share


def request_shadow(*, items: Sequence[Item]) -> None:
    """Request shadow predictions for a share of items just predicted by production, in the same transaction."""
    version = shadow_version()
    if version is None:
        return
    ShadowRequest.objects.bulk_create(
        [
            ShadowRequest(item=item, version=version)
            for item in items
            if is_shadowed(version.pk, item.pk, version.shadow_share)
        ],
        ignore_conflicts=True,
    )  # an item predicted again already has a request


def waiting(version: ModelVersion) -> QuerySet[ShadowRequest]:
    """Return the unclaimed requests with attempts left."""
    return ShadowRequest.objects.filter(SHADOW_CLAIMS.fresh(), version=version)


def claim_shadow(*, version: ModelVersion, limit: int) -> Claim[ShadowRequest]:
    """Claim the next requests. One that failed before is claimed alone, so that it does not fail others."""
    return SHADOW_CLAIMS.take(
        waiting(version).order_by("attempts", "id"), limit=limit, error="The worker stopped or stalled on it."
    )


def give_back_shadow(*, claim: Claim[ShadowRequest], errors: dict[int, str]) -> None:
    """Release failed requests, given by item id, recording the error. Requests out of attempts stay for the record."""
    for item_id, error in errors.items():
        claim.held().filter(item_id=item_id).update(error=error[:2_000], **SHADOW_CLAIMS.freed)
