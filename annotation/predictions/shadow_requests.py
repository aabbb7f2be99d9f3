"""Which items a shadow version predicts beside production, and a worker's hold on them.

The requests are written with production's predictions, in one transaction: an item is asked about once, however often a
worker dies.
"""

from collections.abc import Sequence

from django.db.models import QuerySet

from annotation.database.claims import Claim
from annotation.models import Item, ModelVersion, ShadowRequest
from annotation.models.claims import SHADOW_CLAIMS
from guardapp.guard.draws import sticky_draw


def shadow_version() -> ModelVersion | None:
    """The one version that shadows production; None where none does."""
    return ModelVersion.objects.filter(shadow_share__gt=0).first()


def is_shadowed(version_id: int, item_id: int, share: float) -> bool:
    """A sticky share of items: a larger share holds all of a smaller one, and another version draws its own."""
    return sticky_draw("shadow", version_id, item_id) < share


def request_shadow(*, items: Sequence[Item]) -> None:
    """Ask the shadow version about its share of items that production has just predicted. Called in that
    transaction.
    """
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
    )  # an item that came back has been asked about


def waiting(version: ModelVersion) -> QuerySet[ShadowRequest]:
    """Requests that nobody works on and that are not worn out."""
    return ShadowRequest.objects.filter(SHADOW_CLAIMS.fresh(), version=version)


def claim_shadow(*, version: ModelVersion, limit: int) -> Claim[ShadowRequest]:
    """Hold the next requests. One that failed before comes alone, so that it takes no neighbour with it."""
    return SHADOW_CLAIMS.take(
        waiting(version).order_by("attempts", "id"), limit=limit, error="The worker stopped or stalled on it."
    )


def give_back_shadow(*, claim: Claim[ShadowRequest], errors: dict[int, str]) -> None:
    """End the claim on what failed, by item id. A request that is worn out rests and says why."""
    for item_id, error in errors.items():
        claim.held().filter(item_id=item_id).update(error=error[:2_000], **SHADOW_CLAIMS.freed)
