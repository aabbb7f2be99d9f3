"""Promotion and rollback of the serving version. Workers switch at their next batch.

A promotion passes the gate and is recorded with a reason and an approver; a rollback takes one step.
"""

from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction

from annotation.models import Event, ModelVersion, ShadowRequest, User
from annotation.outbound.webhooks import announce
from annotation.predictions.production import production_or_none
from annotation.status import EventKind, VersionStatus, WebhookEvent
from training.errors import (
    AlreadyProduction,
    GateNotPassed,
    NotALead,
    NotAnAdmin,
    NothingToRollBackTo,
    ProductionChanged,
    ReasonMissing,
)
from training.models import Promotion
from training.status import PromotionKind
from training.versions import gate


@dataclass(frozen=True, slots=True)
class _Grounds:
    """Who changes production and why; `gate` and `override` as stored in Promotion."""

    approver: User
    reason: str
    gate: dict[str, Any] = field(default_factory=dict)
    override: str = ""


def promote(*, version: ModelVersion, approver: User, reason: str, override: str = "") -> Promotion:
    """Put a version that passes the gate into production.

    An admin may promote one that does not pass: `override` is the reason, and is stored. Raises NotALead,
    ReasonMissing, NotEvaluated, AlreadyProduction, GateNotPassed, NotAnAdmin or ProductionChanged.
    """
    _check(approver, reason)
    current = production_or_none()
    if current == version:
        raise AlreadyProduction
    judged = gate.judge(version=version, production=current)
    override = "" if judged.report.passed else override.strip()
    if override and not approver.is_admin:
        raise NotAnAdmin
    if not judged.report.passed and not override:
        raise GateNotPassed(judged.report)
    return _switch(
        PromotionKind.PROMOTE, version, current, _Grounds(approver, reason.strip(), judged.as_json(), override)
    )


def rollback(*, approver: User, reason: str, to: int | None = None) -> Promotion:
    """Return to the version that the current one replaced, without the gate.

    `to` is the id of the version that the person was shown. Raises NotALead, ReasonMissing, NothingToRollBackTo or
    ProductionChanged.
    """
    _check(approver, reason)
    current = production_or_none()
    target = rollback_target()
    # sent twice, or decided on an outdated page
    if to is not None and (target is None or target.pk != to):
        raise ProductionChanged
    if target is None:
        raise NothingToRollBackTo
    return _switch(PromotionKind.ROLLBACK, target, current, _Grounds(approver, reason.strip()))


def rollback_target() -> ModelVersion | None:
    """The version that production replaced when it was last promoted; two rollbacks go back two steps."""
    promoted = Promotion.objects.filter(kind=PromotionKind.PROMOTE, version__in=ModelVersion.objects.serving())
    newest = promoted.select_related("previous").order_by("-id").first()
    return newest.previous if newest else None


def _check(approver: User, reason: str) -> None:
    if not approver.is_lead:
        raise NotALead
    if not reason.strip():
        raise ReasonMissing


def _switch(
    kind: PromotionKind, version: ModelVersion, judged_against: ModelVersion | None, grounds: _Grounds
) -> Promotion:
    """Switch production, if it is still `judged_against`; a version that serves stops shadowing."""
    try:
        with transaction.atomic():
            previous = ModelVersion.objects.serving().select_for_update().first()
            if previous != judged_against:
                raise ProductionChanged
            if previous is not None:
                ModelVersion.objects.filter(pk=previous.pk).update(status=VersionStatus.RETIRED)
            ModelVersion.objects.filter(pk=version.pk).update(status=VersionStatus.PRODUCTION, shadow_share=0.0)
            ShadowRequest.objects.filter(version__in=[one for one in (version, previous) if one is not None]).delete()
            promotion = Promotion.objects.create(
                kind=kind,
                version=version,
                previous=previous,
                approver=grounds.approver,
                reason=grounds.reason,
                gate=grounds.gate,
                override=grounds.override,
            )
            detail = {
                "version": version.name,
                "previous": previous.name if previous else None,
                "reason": grounds.reason,
            }
            announce(
                event=WebhookEvent.PROMOTED,
                payload={
                    "version": version.name,
                    "previous": previous.name if previous else None,
                    "kind": kind.value,
                    "reason": grounds.reason,
                },
            )
            Event.objects.create(
                kind=EventKind.PROMOTED if kind is PromotionKind.PROMOTE else EventKind.ROLLED_BACK,
                actor=grounds.approver,
                detail=detail | ({"override": grounds.override} if grounds.override else {}),
            )
    except IntegrityError:
        raise ProductionChanged from None
    version.status = VersionStatus.PRODUCTION
    return promotion
