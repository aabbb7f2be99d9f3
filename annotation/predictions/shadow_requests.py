"""Which items a shadow version predicts beside production, and a worker's hold on them.

The requests are written with production's predictions, in one transaction: an item is asked about once, however often a
worker dies.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet

from annotation.database import clock
from annotation.models import Item, ModelVersion, ShadowRequest

MAX_ATTEMPTS = 3
HOLD = 10  # claims hold this many times longer than those of items: nobody waits for them


@dataclass(frozen=True, slots=True)
class ShadowClaim:
    """Requests that this worker holds. Another holder of one has another token."""

    token: UUID
    requests: tuple[ShadowRequest, ...]

    def rows(self) -> QuerySet[ShadowRequest]:
        """Those that are still held."""
        return ShadowRequest.objects.filter(claim_token=self.token)


def shadow_version() -> ModelVersion | None:
    """The one version that shadows production; None where none does."""
    return ModelVersion.objects.filter(shadow_share__gt=0).first()


def is_shadowed(version_id: int, item_id: int, share: float) -> bool:
    """A sticky share of items: a larger share holds all of a smaller one, and another version draws its own."""
    draw = int.from_bytes(hashlib.sha256(f"shadow:{version_id}:{item_id}".encode()).digest()[:8])
    return draw < share * 2**64


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
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lt=clock.now())
    return ShadowRequest.objects.filter(free, version=version, attempts__lt=MAX_ATTEMPTS)


def claim_shadow(*, version: ModelVersion, limit: int) -> ShadowClaim:
    """Hold the next requests. One that failed before comes alone, so that it takes no neighbour with it."""
    token = uuid4()
    with transaction.atomic():
        first = waiting(version).order_by("attempts", "id").select_for_update(skip_locked=True).first()
        if first is None:
            return ShadowClaim(token, ())
        alike = waiting(version).filter(attempts=first.attempts).order_by("id").select_for_update(skip_locked=True)
        ids = list(alike.values_list("pk", flat=True)[: 1 if first.attempts else limit])
        waiting(version).filter(pk__in=ids).update(
            claim_token=token,
            claimed_until=_until(),
            attempts=F("attempts") + 1,
            error="The worker stopped or stalled on it.",
        )
    held = ShadowRequest.objects.filter(claim_token=token).select_related("item").order_by("id")
    return ShadowClaim(token, tuple(held))


def give_back_shadow(*, claim: ShadowClaim, errors: dict[int, str]) -> None:
    """End the claim on what failed, by item id. After MAX_ATTEMPTS a request rests and says why."""
    for item_id, error in errors.items():
        claim.rows().filter(item_id=item_id).update(claim_token=None, claimed_until=None, error=error[:2_000])


def _until() -> datetime:
    return clock.now() + timedelta(seconds=HOLD * settings.CLAIM_SECONDS)
