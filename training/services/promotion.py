"""Which version serves: promoted with a reason and a name, rolled back in one step. Workers notice at their next batch."""

from django.db import IntegrityError, transaction

from annotation.models import Event, ModelVersion, User
from annotation.status import EventKind, VersionStatus
from training.models import Evaluation, Promotion
from training.services.errors import (
    AlreadyProduction,
    NotALead,
    NotEvaluated,
    NothingToRollBackTo,
    ProductionChanged,
    ReasonMissing,
)
from training.status import PromotionKind, RunStatus


def promote(*, version: ModelVersion, approver: User, reason: str) -> Promotion:
    """Make an evaluated version production. Raises NotALead, ReasonMissing, NotEvaluated, AlreadyProduction, ProductionChanged."""
    if not Evaluation.objects.filter(version=version, status=RunStatus.SUCCEEDED, rows__isnull=False).exists():
        raise NotEvaluated
    return _switch(PromotionKind.PROMOTE, version, approver, reason)


def rollback(*, approver: User, reason: str, to: int | None = None) -> Promotion:
    """Bring back the version that the current one replaced; `to` is the id of the one that the person was shown.

    Raises NotALead, ReasonMissing, NothingToRollBackTo, ProductionChanged.
    """
    target = rollback_target()
    if to is not None and (target is None or target.pk != to):  # sent twice, or decided on an old page
        raise ProductionChanged
    if target is None:
        raise NothingToRollBackTo
    return _switch(PromotionKind.ROLLBACK, target, approver, reason)


def rollback_target() -> ModelVersion | None:
    """The version that production replaced when it was last promoted; rolling back twice goes back two steps."""
    promoted = Promotion.objects.filter(kind=PromotionKind.PROMOTE, version__status=VersionStatus.PRODUCTION)
    newest = promoted.select_related("previous").order_by("-id").first()
    return newest.previous if newest else None


def _switch(kind: PromotionKind, version: ModelVersion, approver: User, reason: str) -> Promotion:
    reason = reason.strip()
    if not approver.is_lead:
        raise NotALead
    if not reason:
        raise ReasonMissing
    try:
        with transaction.atomic():
            previous = ModelVersion.objects.select_for_update().filter(status=VersionStatus.PRODUCTION).first()
            if previous is not None and previous.pk == version.pk:
                raise AlreadyProduction
            if previous is not None:
                ModelVersion.objects.filter(pk=previous.pk).update(status=VersionStatus.RETIRED)
            ModelVersion.objects.filter(pk=version.pk).update(status=VersionStatus.PRODUCTION)
            promotion = Promotion.objects.create(kind=kind, version=version, previous=previous, approver=approver, reason=reason)
            Event.objects.create(
                kind=EventKind.PROMOTED if kind is PromotionKind.PROMOTE else EventKind.ROLLED_BACK, actor=approver,
                detail={"version": version.name, "previous": previous.name if previous else None, "reason": reason},
            )
    except IntegrityError:
        raise ProductionChanged from None
    version.status = VersionStatus.PRODUCTION
    return promotion
