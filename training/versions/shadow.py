"""Shadow mode: a candidate silently predicts a share of live items besides production. One version at a time."""

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from annotation.models import Event, ModelVersion, ShadowRequest, User
from annotation.status import EventKind, VersionStatus
from training.errors import AlreadyProduction, NotALead, ShadowChanged, ShareNotUsable


def start_shadow(*, version: ModelVersion, share: float, by: User) -> None:
    """Let a version shadow production; any other shadow version stops. Earlier predictions are kept.

    Raises NotALead, ShareNotUsable, AlreadyProduction or ShadowChanged.
    """
    if not 0 < share <= 1:
        raise ShareNotUsable
    _check(by)
    try:
        with transaction.atomic():
            _stop(ModelVersion.objects.filter(shadow_share__gt=0).exclude(pk=version.pk), by)
            shadowing = ModelVersion.objects.filter(pk=version.pk).exclude(status=VersionStatus.PRODUCTION)
            if shadowing.update(shadow_share=share) != 1:
                raise AlreadyProduction
            Event.objects.create(kind=EventKind.SHADOWING, actor=by, detail={"version": version.name, "share": share})
    except IntegrityError:
        raise ShadowChanged from None
    version.shadow_share = share


def stop_shadow(*, version: ModelVersion, by: User) -> None:
    """Stop shadowing: keep its predictions and drop its pending requests. Idempotent. Raises NotALead."""
    _check(by)
    with transaction.atomic():
        _stop(ModelVersion.objects.filter(pk=version.pk, shadow_share__gt=0), by)
    version.shadow_share = 0.0


def _stop(shadowing: QuerySet[ModelVersion], by: User) -> None:
    for version in shadowing:
        ModelVersion.objects.filter(pk=version.pk).update(shadow_share=0.0)
        ShadowRequest.objects.filter(version=version).delete()
        Event.objects.create(kind=EventKind.SHADOWING, actor=by, detail={"version": version.name, "share": 0.0})


def _check(by: User) -> None:
    if not by.is_lead:
        raise NotALead
