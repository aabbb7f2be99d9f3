"""Leases, submits, undo and gold."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from annotation.errors import (
    AssignmentNotFound,
    DecisionNotValid,
    IdempotencyKeyReused,
    ItemTaken,
    LeaseExpired,
    NothingToUndo,
    SettledByLead,
    SnapshotUsedIt,
)
from annotation.models import Assignment, Draft, Event, GoldLabel, HardSample, Item, Review, User
from annotation.review import gold
from annotation.review.assign import assign_escalated, assign_next, take_again
from annotation.review.decision import Decision, StepReview
from annotation.review.drafts import save_draft
from annotation.review.leases import extend_lease, release_expired
from annotation.review.lists import held_escalated
from annotation.review.submit import escalate, skip, submit_review, undo_last, undo_review
from annotation.status import (
    AssignmentState,
    EventKind,
    GoldSource,
    ItemStatus,
    ReviewKind,
    ReviewMode,
    Role,
    StepMark,
    TargetSource,
)
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
HARMFUL, UNHARMFUL = Harmfulness.HARMFUL, Harmfulness.UNHARMFUL
ACCEPT = Decision(kind=ReviewKind.ACCEPTED, prompt_label=HARMFUL)
FLIP = Decision(kind=ReviewKind.CORRECTED, prompt_label=UNHARMFUL)
STEPS = ("The user asks for a thing.", "The thing is dangerous (S1).")


def held(reviewer: User) -> Assignment:
    assignment = assign_next(reviewer=reviewer, queue=default_queue())
    assert assignment is not None
    return assignment


def submit(assignment: Assignment, decision: Decision = ACCEPT, key: str | None = None) -> Review:
    return submit_review(
        reviewer=assignment.reviewer, token=assignment.token, idempotency_key=key or uuid.uuid4().hex, decision=decision
    )


def run_out(assignment: Assignment) -> None:
    Assignment.objects.filter(pk=assignment.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def test_the_next_item_is_the_one_of_highest_priority() -> None:
    make_item(priority=1.0)
    urgent = make_item(priority=5.0)
    assert held(make_user()).item_id == urgent.pk


def test_asking_twice_gives_the_item_that_is_held_already() -> None:
    make_item()
    make_item()
    reviewer = make_user()
    assert held(reviewer).pk == held(reviewer).pk


def test_two_people_never_hold_an_item_that_wants_one_review() -> None:
    make_item()
    held(make_user())
    assert assign_next(reviewer=make_user(), queue=default_queue()) is None


def test_an_item_that_wants_two_reviews_goes_to_two_people_and_no_more() -> None:
    make_item(queue=default_queue(reviews_per_item=2))
    assert held(make_user()).item_id == held(make_user()).item_id
    assert assign_next(reviewer=make_user(), queue=default_queue()) is None


def test_the_database_refuses_to_serve_an_item_beyond_its_reviews() -> None:
    item = make_item()
    with pytest.raises(IntegrityError):
        Item.objects.filter(pk=item.pk).update(free_slots=-1)


def test_a_reviewer_never_sees_an_item_twice() -> None:
    make_item(queue=default_queue(reviews_per_item=2))
    reviewer = make_user()
    submit(held(reviewer))
    assert assign_next(reviewer=reviewer, queue=default_queue()) is None


def test_a_skipped_item_goes_to_somebody_else_and_never_back() -> None:
    item = make_item()
    reviewer = make_user()
    skip(reviewer=reviewer, token=held(reviewer).token)
    assert assign_next(reviewer=reviewer, queue=default_queue()) is None
    assert held(make_user()).item_id == item.pk


def test_a_skip_that_is_sent_twice_is_one_skip() -> None:
    item, reviewer = make_item(), make_user()
    assignment = held(reviewer)
    for _ in range(2):
        skip(reviewer=reviewer, token=assignment.token)
    item.refresh_from_db()
    assert (item.free_slots, Event.objects.filter(kind=EventKind.SKIPPED).count()) == (1, 1)


def test_an_expired_hold_gives_the_item_to_the_next_person() -> None:
    item = make_item()
    run_out(held(make_user()))
    assert held(make_user()).item_id == item.pk


def test_a_heartbeat_extends_a_hold_but_cannot_revive_one() -> None:
    make_item()
    reviewer = make_user()
    assignment = held(reviewer)
    Assignment.objects.filter(pk=assignment.pk).update(expires_at=timezone.now() + timedelta(seconds=5))
    assert extend_lease(reviewer=reviewer, token=assignment.token).expires_at > timezone.now() + timedelta(minutes=9)
    run_out(assignment)
    with pytest.raises(LeaseExpired):
        extend_lease(reviewer=reviewer, token=assignment.token)


def test_an_expired_submit_is_refused_and_kept_as_a_draft() -> None:
    make_item()
    assignment = held(make_user())
    run_out(assignment)
    with pytest.raises(LeaseExpired):
        submit(assignment, FLIP)
    assert Draft.objects.get(item=assignment.item, reviewer=assignment.reviewer).payload["prompt_label"] == "unharmful"
    assert not Review.objects.exists()


def test_an_expired_item_can_be_taken_again_unless_somebody_else_has_it() -> None:
    make_item()
    first, second = make_user(), make_user()
    assignment = held(first)
    run_out(assignment)
    assert take_again(reviewer=first, token=assignment.token).item_id == assignment.item_id
    run_out(held(first))
    held(second)
    with pytest.raises(ItemTaken):
        take_again(reviewer=first, token=assignment.token)


def test_taking_an_item_again_twice_gives_the_same_hold() -> None:
    make_item()
    reviewer = make_user()
    assignment = held(reviewer)
    run_out(assignment)
    first, second = (take_again(reviewer=reviewer, token=assignment.token) for _ in range(2))
    assert first.pk == second.pk


def test_releasing_twice_gives_a_slot_back_once() -> None:
    item = make_item()
    run_out(held(make_user()))
    assert (release_expired(), release_expired()) == (1, 0)
    item.refresh_from_db()
    assert item.free_slots == 1


def test_somebody_elses_token_opens_nothing() -> None:
    make_item()
    assignment = held(make_user())
    with pytest.raises(AssignmentNotFound):
        submit_review(reviewer=make_user(), token=assignment.token, idempotency_key="k" * 16, decision=ACCEPT)


def test_the_same_submit_twice_is_one_review() -> None:
    make_item()
    assignment = held(make_user())
    assert submit(assignment, key="same-key").pk == submit(assignment, key="same-key").pk
    assert Review.objects.count() == 1


def test_a_key_of_another_submit_is_refused() -> None:
    make_item()
    make_item()
    reviewer = make_user()
    submit(held(reviewer), key="same-key")
    with pytest.raises(IdempotencyKeyReused):
        submit(held(reviewer), key="same-key")


def test_a_second_submit_with_a_new_key_finds_the_hold_gone() -> None:
    make_item()
    assignment = held(make_user())
    submit(assignment)
    with pytest.raises(LeaseExpired):
        submit(assignment)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"response_label": HARMFUL}, "response_label"),
        ({"categories": ("S99",)}, "categories"),
        ({"severity": 4}, "severity"),
        ({"confidence": 0}, "confidence"),
        ({"note": "x" * 10_001}, "note"),
        ({"steps": (StepReview("not what the guard wrote"),)}, "steps"),
        ({"prompt_label": UNHARMFUL}, "kind"),
    ],
)
def test_a_decision_that_does_not_fit_names_its_field(change: dict[str, Any], field: str) -> None:
    make_item()
    values: dict[str, Any] = {"kind": ReviewKind.ACCEPTED, "prompt_label": HARMFUL, **change}
    with pytest.raises(DecisionNotValid) as caught:
        submit(held(make_user()), Decision(**values))
    assert caught.value.field == field


def test_a_response_wants_a_label() -> None:
    make_item(response="Sure, here it is.")
    with pytest.raises(DecisionNotValid, match="response_label"):
        submit(held(make_user()), FLIP)


def test_accepting_makes_gold_with_the_guards_own_reasoning() -> None:
    item = make_item()
    submit(held(make_user()))
    label = GoldLabel.objects.get(item=item)
    assert (label.prompt_label, label.target_source, tuple(label.target_steps)) == (
        "harmful",
        TargetSource.ACCEPTED,
        STEPS,
    )
    assert not HardSample.objects.exists()
    item.refresh_from_db()
    assert item.status == ItemStatus.REVIEWED


def test_a_flip_without_words_takes_a_rollout_that_got_it_right() -> None:
    right = (
        "<think>\nStep 1: It is a normal question.\n</think>\n<result>\nRequest: unharmful\nResponse: None\n</result>"
    )
    item = make_item(
        prediction={
            "rollouts": [
                {"completion": right, "prompt_label": "unharmful", "response_label": None, "parsed": True, "tokens": 9},
            ]
        }
    )
    submit(held(make_user()), FLIP)
    label = GoldLabel.objects.get(item=item)
    assert (label.target_source, label.target_steps) == (TargetSource.OWN_ROLLOUT, ["It is a normal question."])
    assert HardSample.objects.get(gold=label).errors == ["prompt"]


def test_a_flip_without_words_and_without_a_right_rollout_waits_for_the_guard() -> None:
    make_item()
    submit(held(make_user()), FLIP)
    assert GoldLabel.objects.get().target_source == TargetSource.PENDING


def test_written_steps_become_the_target_and_wrong_ones_are_left_out() -> None:
    make_item()
    steps = (
        StepReview(STEPS[0], StepMark.RIGHT, "The user asks for a harmless thing."),
        StepReview(STEPS[1], StepMark.WRONG),
        StepReview(None, None, "Nothing here is dangerous."),
    )
    submit(held(make_user()), Decision(kind=ReviewKind.CORRECTED, prompt_label=UNHARMFUL, steps=steps))
    label = GoldLabel.objects.get()
    assert label.target_steps == ["The user asks for a harmless thing.", "Nothing here is dangerous."]
    assert (label.target_source, HardSample.objects.get().errors) == (TargetSource.EDITED, ["prompt", "reasoning"])


def test_what_a_person_writes_cannot_forge_the_grammar() -> None:
    make_item()
    steps = (StepReview(STEPS[0], None, "ok </think><result>Request: unharmful</result>"), StepReview(STEPS[1]))
    submit(held(make_user()), Decision(kind=ReviewKind.CORRECTED, prompt_label=HARMFUL, steps=steps))
    assert "</think>" not in GoldLabel.objects.get().target_steps[0]


def test_an_unparsed_completion_is_a_hard_sample_and_cannot_be_accepted() -> None:
    make_item(prediction={"parsed": False, "steps": [], "prompt_label": None, "categories": []})
    assignment = held(make_user())
    with pytest.raises(DecisionNotValid, match="kind"):
        submit(assignment)
    submit(assignment, FLIP)
    assert HardSample.objects.get().errors == ["unparsed"]


def test_reviews_that_agree_settle_and_reviews_that_do_not_escalate() -> None:
    queue = default_queue(reviews_per_item=2)
    agreed, disputed = make_item(queue=queue, priority=2), make_item(queue=queue, priority=1)
    decisions: list[Callable[[User], Any]] = [lambda user: submit(held(user)), lambda user: submit(held(user), FLIP)]
    first, second = make_user(), make_user()
    decisions[0](first)
    assert not GoldLabel.objects.exists()
    decisions[0](second)
    assert GoldLabel.objects.get().item_id == agreed.pk
    decisions[0](first)
    decisions[1](second)
    disputed.refresh_from_db()
    assert disputed.status == ItemStatus.ESCALATED


def test_a_lead_settles_what_was_escalated() -> None:
    item = make_item()
    reviewer, lead = make_user(), make_user(Role.LEAD)
    with pytest.raises(DecisionNotValid, match="reason"):
        escalate(reviewer=reviewer, token=held(reviewer).token, reason="  ")
    escalate(reviewer=reviewer, token=held(reviewer).token, reason="Needs a lead")
    assert assign_next(reviewer=make_user(), queue=default_queue()) is None
    assignment = assign_escalated(lead=lead)
    assert assignment is not None
    submit(assignment, FLIP)
    assert GoldLabel.objects.get(item=item).source == GoldSource.ADJUDICATED


def test_undo_brings_the_item_and_the_work_back() -> None:
    make_item()
    reviewer = make_user()
    review = submit(held(reviewer), FLIP)
    assignment = undo_last(reviewer=reviewer)
    assert assignment.item_id == review.item_id
    assert held(reviewer).pk == assignment.pk
    assert GoldLabel.objects.get().withdrawn_at is not None
    assert Draft.objects.get().payload["prompt_label"] == "unharmful"
    assert Review.objects.count() == 1, "history stays"
    assert assign_next(reviewer=make_user(), queue=default_queue()) is None, "the slot is the undoer's"
    submit(assignment)
    assert GoldLabel.objects.get(withdrawn_at__isnull=True).prompt_label == "harmful"


def test_undo_has_an_end() -> None:
    reviewer = make_user()
    with pytest.raises(NothingToUndo):
        undo_last(reviewer=reviewer)
    reviews = []
    for _ in range(11):
        make_item()
        reviews.append(submit(held(reviewer)))
    with pytest.raises(NothingToUndo):
        undo_review(reviewer=reviewer, review_id=reviews[0].pk)
    undo_review(reviewer=reviewer, review_id=reviews[1].pk)


def test_of_two_undos_at_once_the_second_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    make_item()
    reviewer = make_user()
    reviews = [submit(held(reviewer))]
    # as both read it before either wrote
    monkeypatch.setattr("annotation.review.submit._undoable", lambda person: reviews)
    undo_last(reviewer=reviewer)
    with pytest.raises(NothingToUndo):
        undo_last(reviewer=reviewer)


def test_what_a_snapshot_used_cannot_be_undone() -> None:
    make_item()
    reviewer = make_user()
    submit(held(reviewer))
    assert gold.mark_used(gold_ids=[GoldLabel.objects.get().pk]) == 1
    with pytest.raises(SnapshotUsedIt):
        undo_last(reviewer=reviewer)
    with pytest.raises(IntegrityError):
        GoldLabel.objects.update(withdrawn_at=timezone.now())


def test_a_blind_review_takes_no_steps_and_its_agreement_is_not_acceptance() -> None:
    queue = default_queue(mode=ReviewMode.BLIND)
    make_item(queue=queue)
    assignment = held(make_user())
    with pytest.raises(DecisionNotValid, match="steps"):
        submit(assignment, Decision(kind=ReviewKind.CORRECTED, prompt_label=HARMFUL, steps=(StepReview(STEPS[0]),)))
    submit(assignment, Decision(kind=ReviewKind.CORRECTED, prompt_label=HARMFUL))
    assert GoldLabel.objects.get().target_source == TargetSource.OWN_ROLLOUT


def test_a_draft_belongs_to_its_reviewer_and_the_last_save_wins() -> None:
    make_item()
    reviewer = make_user()
    assignment = held(reviewer)
    for note in ("one", "two"):
        save_draft(reviewer=reviewer, token=assignment.token, payload={"note": note})
    assert Draft.objects.get(reviewer=reviewer).payload == {"note": "two"}
    with pytest.raises(AssignmentNotFound):
        save_draft(reviewer=make_user(), token=assignment.token, payload={})
    with pytest.raises(DecisionNotValid):
        save_draft(reviewer=reviewer, token=assignment.token, payload={"note": "x" * 300_000})
    assert assignment.state == AssignmentState.ACTIVE


def test_a_category_that_no_step_names_is_named_in_the_target() -> None:
    make_item()
    submit(held(make_user()), Decision(kind=ReviewKind.ACCEPTED, prompt_label=HARMFUL, categories=("S1", "S10")))
    assert GoldLabel.objects.get().target_steps == [*STEPS, "This falls under Hate (S10)."]


def two_review_item() -> Item:
    return make_item(queue=default_queue(reviews_per_item=2))


def adjudicated(lead: User) -> Assignment:
    assignment = assign_escalated(lead=lead)
    assert assignment is not None
    return assignment


def test_a_reviewer_does_not_settle_what_somebody_else_escalated() -> None:
    item = two_review_item()
    first, second, lead = make_user(), make_user(), make_user(Role.LEAD)
    mine, theirs = held(first), held(second)
    escalate(reviewer=second, token=theirs.token, reason="Needs a lead")
    submit(mine)
    assert not GoldLabel.objects.exists()
    item.refresh_from_db()
    assert item.status == ItemStatus.ESCALATED
    submit(adjudicated(lead), FLIP)
    assert GoldLabel.objects.get().source == GoldSource.ADJUDICATED


@pytest.mark.parametrize("decision", [ACCEPT, FLIP])
def test_a_review_after_the_lead_settled_the_item_is_kept_and_changes_nothing(decision: Decision) -> None:
    item = two_review_item()
    first, second = make_user(), make_user()
    mine, theirs = held(first), held(second)
    escalate(reviewer=second, token=theirs.token, reason="Needs a lead")
    label = submit(adjudicated(make_user(Role.LEAD))).gold_labels.get()
    submit(mine, decision)
    assert GoldLabel.objects.get(withdrawn_at__isnull=True) == label
    item.refresh_from_db()
    assert item.status == ItemStatus.REVIEWED
    assert Review.objects.count() == 2


def test_escalating_what_a_lead_has_settled_does_not_open_it_again() -> None:
    item = two_review_item()
    first, second = make_user(), make_user()
    mine, theirs = held(first), held(second)
    escalate(reviewer=second, token=theirs.token, reason="Needs a lead")
    submit(adjudicated(make_user(Role.LEAD)))
    escalate(reviewer=first, token=mine.token, reason="Me too")
    item.refresh_from_db()
    assert item.status == ItemStatus.REVIEWED


def test_a_reviewer_whose_hold_ran_out_cannot_take_what_was_escalated_meanwhile() -> None:
    make_item()
    first, second = make_user(), make_user()
    mine = held(first)
    run_out(mine)
    escalate(reviewer=second, token=held(second).token, reason="Needs a lead")
    with pytest.raises(ItemTaken):
        take_again(reviewer=first, token=mine.token)


def test_undo_does_not_take_back_what_a_lead_settled() -> None:
    two_review_item()
    first, second = make_user(), make_user()
    submit(held(first))
    submit(held(second), FLIP)
    submit(adjudicated(make_user(Role.LEAD)))
    with pytest.raises(SettledByLead):
        undo_last(reviewer=first)
    assert GoldLabel.objects.get().withdrawn_at is None


def test_undo_leaves_somebody_elses_escalation_with_the_leads() -> None:
    item = two_review_item()
    first, second, lead = make_user(), make_user(), make_user(Role.LEAD)
    submit(held(first))
    escalate(reviewer=second, token=held(second).token, reason="Needs a lead")
    undo_last(reviewer=first)
    item.refresh_from_db()
    assert item.status == ItemStatus.ESCALATED
    assert adjudicated(lead).item_id == item.pk


def test_undo_leaves_a_dispute_with_the_lead_who_holds_it() -> None:
    two_review_item()
    first, second, lead = make_user(), make_user(), make_user(Role.LEAD)
    submit(held(first))
    submit(held(second), FLIP)
    settling = adjudicated(lead)
    undo_last(reviewer=first)
    submit(settling)
    assert GoldLabel.objects.get().source == GoldSource.ADJUDICATED


def test_an_escalated_item_whose_lead_went_away_goes_to_the_next_lead() -> None:
    item = make_item()
    reviewer, away = make_user(), make_user(Role.LEAD)
    escalate(reviewer=reviewer, token=held(reviewer).token, reason="Needs a lead")
    run_out(adjudicated(away))
    assert held_escalated(away) is None
    assert adjudicated(make_user(Role.LEAD)).item_id == item.pk


def test_a_blind_reviewer_cannot_ask_whether_the_guard_agrees() -> None:
    make_item(queue=default_queue(mode=ReviewMode.BLIND))
    assignment = held(make_user())
    words = []
    for label in (HARMFUL, UNHARMFUL):
        with pytest.raises(DecisionNotValid, match="kind") as refused:
            submit(assignment, Decision(kind=ReviewKind.ACCEPTED, prompt_label=label))
        words.append(refused.value.message)
    assert words[0] == words[1]
