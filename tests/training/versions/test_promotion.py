"""Promotion: who may, on what grounds, and the way back."""

import pytest
from django.db import IntegrityError, transaction

from annotation.models import Event, ModelVersion, User
from annotation.predictions.production import production_version
from annotation.status import EventKind, Role, VersionStatus
from tests.factories import make_user, production
from tests.training.rows import make_candidate, make_evaluation, make_snapshot
from training.errors import (
    AlreadyProduction,
    GateNotPassed,
    NotALead,
    NotAnAdmin,
    NotEvaluated,
    NothingToRollBackTo,
    ProductionChanged,
    ReasonMissing,
    ThresholdNotUsable,
)
from training.gate.values import Thresholds
from training.models import DatasetSnapshot, Evaluation, EvaluationRow, GateSettings, Promotion
from training.status import PromotionKind, SnapshotOrigin, Split
from training.versions.evaluations import request_evaluation
from training.versions.gate import corrected_items, judge, set_thresholds, thresholds, watched_items
from training.versions.promotion import promote, rollback

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead() -> User:
    return make_user(Role.LEAD)


@pytest.fixture
def snapshot() -> DatasetSnapshot:
    return make_snapshot(40)


@pytest.fixture
def candidate(snapshot: DatasetSnapshot) -> ModelVersion:
    """As good as production on the few rows that both were evaluated on."""
    version = make_candidate(production())
    for evaluated in (version, production()):
        make_evaluation(evaluated, snapshot)
    return version


def test_a_promotion_changes_who_serves_and_keeps_who_decided_and_why(candidate: ModelVersion, lead: User) -> None:
    before = production_version()
    promotion = promote(version=candidate, approver=lead, reason="  Fewer false alarms.  ")
    before.refresh_from_db()
    assert production_version() == candidate and before.status == VersionStatus.RETIRED
    assert (promotion.approver, promotion.previous, promotion.reason) == (lead, before, "Fewer false alarms.")
    assert Event.objects.get(kind=EventKind.PROMOTED).detail == {
        "version": "candidate",
        "previous": "starter",
        "reason": promotion.reason,
    }


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


@pytest.fixture
def worse(candidate: ModelVersion, snapshot: DatasetSnapshot) -> ModelVersion:
    """Wrong on seven held-out rows that production has right: exact p = 2 / 2^7."""
    version = make_candidate(candidate, "worse")
    make_evaluation(version, snapshot, wrong=7)
    return version


def test_a_candidate_that_does_not_pass_the_gate_is_not_promoted(worse: ModelVersion, lead: User) -> None:
    with pytest.raises(GateNotPassed, match="only production on 7") as refused:
        promote(version=worse, approver=lead, reason="It is newer.")
    assert "labels:prompt_harmfulness" in [check.name for check in refused.value.report.failed]
    assert production_version() != worse and not Promotion.objects.exists()


def test_an_admin_may_promote_it_all_the_same_and_the_reason_is_kept(worse: ModelVersion) -> None:
    promotion = promote(
        version=worse, approver=make_user(Role.ADMIN), reason="The policy changed.", override=" The old gold is stale. "
    )
    assert production_version() == worse
    assert promotion.override == "The old gold is stale." and promotion.gate["passed"] is False
    assert Event.objects.get(kind=EventKind.PROMOTED).detail["override"] == "The old gold is stale."


def test_a_lead_cannot_override_the_gate(worse: ModelVersion, lead: User) -> None:
    with pytest.raises(NotAnAdmin):
        promote(version=worse, approver=lead, reason="It is newer.", override="I like it.")
    assert not Promotion.objects.exists()


def test_a_promotion_keeps_what_the_gate_found_and_no_override_where_none_was_needed(
    candidate: ModelVersion, lead: User
) -> None:
    promotion = promote(version=candidate, approver=lead, reason="As good.", override="Just in case.")
    promotion.refresh_from_db()
    assert promotion.override == "" and promotion.gate["passed"] is True
    assert promotion.gate["production"] == "starter" and promotion.gate["thresholds"]["f1_margin"] == 0.02
    assert {check["name"] for check in promotion.gate["checks"]} >= {
        "rows",
        "labels:prompt_harmfulness",
        "parse_failures",
    }


def test_a_rollback_asks_no_gate(worse: ModelVersion, lead: User) -> None:
    before = production_version()
    promote(version=worse, approver=make_user(Role.ADMIN), reason="Urgent.", override="Known.")
    assert rollback(approver=lead, reason="No.").gate == {} and production_version() == before


def test_versions_without_a_snapshot_in_common_do_not_pass(snapshot: DatasetSnapshot, lead: User) -> None:
    version = make_candidate(production())
    make_evaluation(version, snapshot)
    with pytest.raises(GateNotPassed, match="Rows in common"):
        promote(version=version, approver=lead, reason="It feels better.")


def test_a_benchmark_is_no_ground_for_a_promotion(
    candidate: ModelVersion, snapshot: DatasetSnapshot, lead: User
) -> None:
    DatasetSnapshot.objects.filter(pk=snapshot.pk).update(origin=SnapshotOrigin.BENCHMARK)
    with pytest.raises(NotEvaluated):
        promote(version=candidate, approver=lead, reason="First on the leaderboard.")


def test_production_that_changed_meanwhile_is_not_replaced(
    candidate: ModelVersion, snapshot: DatasetSnapshot, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_candidate(production(), "other")

    def judge_while_another_is_promoted(**given: object) -> object:
        judged = judge(**given)  # type: ignore[arg-type]
        ModelVersion.objects.filter(status=VersionStatus.PRODUCTION).update(status=VersionStatus.RETIRED)
        ModelVersion.objects.filter(pk=other.pk).update(status=VersionStatus.PRODUCTION)
        return judged

    monkeypatch.setattr("training.versions.promotion.gate.judge", judge_while_another_is_promoted)
    with pytest.raises(ProductionChanged):
        promote(version=candidate, approver=lead, reason="Better.")
    assert production_version() == other


def test_what_people_corrected_is_watched_and_must_not_come_back(lead: User) -> None:
    """Four train rows were corrected; production has them right, the candidate has two of them wrong again."""
    hard = make_snapshot(40, hard=True)
    train = [
        str(row.gold.item_id) for row in hard.rows.filter(split=Split.TRAIN).select_related("gold").order_by("-gold_id")
    ]
    assert watched_items(hard) == tuple(train) and corrected_items(hard) > set(train)
    version = make_candidate(production())
    for evaluated in (version, production()):
        evaluation = make_evaluation(evaluated, hard)
        for place, item in enumerate(train[:4]):
            said = "unharmful" if evaluated == version and place < 2 else "harmful"
            EvaluationRow.objects.create(
                evaluation=evaluation,
                row_id=item,
                completion="…",
                parsed=True,
                held_out=False,
                gold={"prompt": "harmful", "response": None},
                predicted={"prompt": said, "response": None},
                correct=said == "harmful",
            )
    report = judge(version=version, production=production()).report
    assert report.regressions == tuple(sorted(train[:2])) and [check.name for check in report.failed] == ["regressions"]
    with pytest.raises(GateNotPassed, match=r"Of 13 rows corrected by people .*, 2 are wrong again"):
        promote(version=version, approver=lead, reason="Otherwise fine.")


def test_an_evaluation_is_asked_to_answer_the_watched_rows(lead: User) -> None:
    hard = make_snapshot(40, hard=True)
    assert request_evaluation(version=production(), snapshot=hard, requested_by=lead).config[
        "watched"
    ] == watched_items(hard)


def test_admins_set_the_thresholds_and_history_keeps_them(candidate: ModelVersion, lead: User) -> None:
    assert thresholds() == Thresholds()
    admin = make_user(Role.ADMIN)
    set_thresholds(wanted=Thresholds(open_blocks=True), by=admin)
    with pytest.raises(GateNotPassed):
        promote(version=candidate, approver=lead, reason="Eight rows say so.")
    set_thresholds(wanted=Thresholds(fewest_rows=5), by=admin)
    assert (
        promote(version=candidate, approver=lead, reason="Eight rows are enough.").gate["thresholds"]["fewest_rows"]
        == 5
    )
    assert [row.set_by for row in GateSettings.objects.all()] == [admin, admin]


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.LEAD])
def test_nobody_else_sets_them(role: Role) -> None:
    with pytest.raises(NotAnAdmin):
        set_thresholds(wanted=Thresholds(alpha=0.5), by=make_user(role))
    assert thresholds() == Thresholds()


@pytest.mark.parametrize(
    "wanted",
    [
        Thresholds(f1_margin=1.5),
        Thresholds(alpha=-0.1),
        Thresholds(fewest_rows=0),
        Thresholds(regression_cap=float("nan")),
    ],
)
def test_a_threshold_out_of_range_is_refused_by_name(wanted: Thresholds) -> None:
    with pytest.raises(ThresholdNotUsable, match=r"f1_margin|alpha|fewest_rows|regression_cap"):
        set_thresholds(wanted=wanted, by=make_user(Role.ADMIN))
    assert not GateSettings.objects.exists()


def test_the_comparison_leaves_watched_rows_out(candidate: ModelVersion, snapshot: DatasetSnapshot) -> None:
    EvaluationRow.objects.filter(
        evaluation__in=Evaluation.objects.all(), row_id=EvaluationRow.objects.order_by("id")[0].row_id
    ).update(held_out=False)
    report = judge(version=candidate, production=production()).report
    assert report.rows == Evaluation.objects.first().rows.count() - 1  # type: ignore[union-attr]
