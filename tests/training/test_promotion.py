"""Promotion: who may, on what grounds, and the way back."""

import pytest
from django.db import IntegrityError, transaction

from annotation.models import Event, ModelVersion, User
from annotation.services.serving import production_version
from annotation.status import EventKind, Role, VersionStatus
from tests.factories import make_user, production
from tests.training.rows import make_candidate, make_evaluation, make_snapshot
from training.models import DatasetSnapshot, Promotion
from training.services.errors import AlreadyProduction, NotALead, NotEvaluated, NothingToRollBackTo, ReasonMissing
from training.services.promotion import promote, rollback
from training.status import PromotionKind

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead() -> User:
    return make_user(Role.LEAD)


@pytest.fixture
def snapshot() -> DatasetSnapshot:
    return make_snapshot(40)


@pytest.fixture
def candidate(snapshot: DatasetSnapshot) -> ModelVersion:
    version = make_candidate(production())
    make_evaluation(version, snapshot)
    return version


def test_a_promotion_changes_who_serves_and_keeps_who_decided_and_why(candidate: ModelVersion, lead: User) -> None:
    before = production_version()
    promotion = promote(version=candidate, approver=lead, reason="  Fewer false alarms.  ")
    before.refresh_from_db()
    assert production_version() == candidate and before.status == VersionStatus.RETIRED
    assert (promotion.approver, promotion.previous, promotion.reason) == (lead, before, "Fewer false alarms.")
    assert Event.objects.get(kind=EventKind.PROMOTED).detail == {"version": "candidate", "previous": "starter", "reason": promotion.reason}


@pytest.mark.parametrize("role", [Role.REVIEWER])
def test_only_leads_and_admins_promote(candidate: ModelVersion, role: Role) -> None:
    with pytest.raises(NotALead):
        promote(version=candidate, approver=make_user(role), reason="Better.")
    assert production_version() != candidate


def test_a_promotion_needs_a_reason(candidate: ModelVersion, lead: User) -> None:
    with pytest.raises(ReasonMissing):
        promote(version=candidate, approver=lead, reason=" \n ")


def test_a_version_without_an_evaluation_is_not_promoted(lead: User) -> None:
    version = make_candidate(production())
    with pytest.raises(NotEvaluated):
        promote(version=version, approver=lead, reason="It feels better.")
    assert not Promotion.objects.exists()


def test_production_is_not_promoted_again(candidate: ModelVersion, lead: User) -> None:
    promote(version=candidate, approver=lead, reason="Better.")
    with pytest.raises(AlreadyProduction):
        promote(version=candidate, approver=lead, reason="Better still.")


def test_a_rollback_brings_the_version_before_back(candidate: ModelVersion, lead: User) -> None:
    before = production_version()
    promote(version=candidate, approver=lead, reason="Better.")
    promotion = rollback(approver=lead, reason="It flags recipes.")
    candidate.refresh_from_db()
    assert production_version() == before and candidate.status == VersionStatus.RETIRED
    assert (promotion.kind, promotion.previous) == (PromotionKind.ROLLBACK, candidate)


def test_two_rollbacks_go_two_steps_back(candidate: ModelVersion, snapshot: DatasetSnapshot, lead: User) -> None:
    first = production_version()
    second = make_candidate(candidate, "second")
    make_evaluation(second, snapshot)
    promote(version=candidate, approver=lead, reason="Better.")
    promote(version=second, approver=lead, reason="Better still.")
    rollback(approver=lead, reason="No.")
    assert production_version() == candidate
    rollback(approver=lead, reason="Not that either.")
    assert production_version() == first
    with pytest.raises(NothingToRollBackTo):
        rollback(approver=lead, reason="Further.")


def test_a_version_that_was_rolled_back_can_be_promoted_again(candidate: ModelVersion, lead: User) -> None:
    promote(version=candidate, approver=lead, reason="Better.")
    rollback(approver=lead, reason="Perhaps not.")
    promote(version=candidate, approver=lead, reason="It was the data.")
    assert production_version() == candidate


def test_the_database_refuses_a_second_production_version(candidate: ModelVersion) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelVersion.objects.filter(pk=candidate.pk).update(status=VersionStatus.PRODUCTION)


def test_the_database_refuses_a_promotion_without_a_reason(candidate: ModelVersion, lead: User) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Promotion.objects.create(kind=PromotionKind.PROMOTE, version=candidate, approver=lead, reason="")
