"""Shadow mode: a candidate predicts a share of live items silently, beside production. One version at a time."""

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from annotation.models import Event, ModelVersion, ShadowRequest, User
from annotation.status import EventKind, VersionStatus
from training.errors import AlreadyProduction, NotALead, ShadowChanged, ShareNotUsable


def start_shadow(*, version: ModelVersion, share: float, by: User) -> None:
    """Let a version shadow production from now on; another one that did stops. Its predictions of before are kept.

    Raises NotALead, ShareNotUsable, AlreadyProduction, ShadowChanged.
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
    """What it has predicted stays to be read, what it was still to predict is dropped. Called again it changes nothing.
    Raises NotALead.
    """
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
