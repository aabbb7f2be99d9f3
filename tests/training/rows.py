"""Gold, snapshots and versions for tests of training."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone

from annotation.models import Assignment, GoldLabel, HardSample, ModelVersion, Review, User
from annotation.status import AssignmentState, GoldSource, Role, TargetSource, VersionStatus
from tests.factories import default_policy, make_item, make_user
from training.models import DatasetSnapshot, Evaluation, EvaluationRow
from training.snapshots.create import SnapshotFilters, create_snapshot
from training.status import RunStatus

STEPS = ["The user asks for a thing.", "The thing does nobody harm."]


def make_gold(
    reviewer: User,
    *,
    prompt: str | None = None,
    response: str | None = None,
    label: str | None = "unharmful",
    response_label: str | None = None,
    steps: list[str] | None = None,
    source: TargetSource = TargetSource.EDITED,
    hard: bool = False,
    settled_ago: float = 60.0,
    withdrawn: bool = False,
    **item_fields: Any,
) -> GoldLabel:
    """A settled gold label with its item, assignment and review."""
    item = make_item(prompt=prompt, response=response, **item_fields)
    now = timezone.now()
    assignment = Assignment.objects.create(
        item=item, queue=item.queue, reviewer=reviewer, state=AssignmentState.SUBMITTED, expires_at=now
    )
    review = Review.objects.create(
        item=item,
        prediction=item.prediction,
        reviewer=reviewer,
        assignment=assignment,
        idempotency_key=f"key-{item.pk:08}",
        kind="corrected",
        prompt_label=label,
        response_label=response_label,
        mode="open",
        lane="flagged",
        seconds=1.0,
        policy_version=default_policy(),
    )
    gold = GoldLabel.objects.create(
        item=item,
        review=review,
        prediction=item.prediction,
        prompt_label=label,
        response_label=response_label,
        source=GoldSource.CONSENSUS,
        policy_version=review.policy_version,
        target_steps=STEPS if steps is None else steps,
        target_source=source,
        settled_at=now - timedelta(seconds=settled_ago),
        withdrawn_at=now if withdrawn else None,
    )
    if hard and item.prediction:
        HardSample.objects.create(gold=gold, prediction=item.prediction, errors=["prompt"])
    return gold


def make_much_gold(reviewer: User, count: int = 40, *, words: str = "Tell me about", **fields: Any) -> list[GoldLabel]:
    """Half of it harmful, each prompt of its own words."""
    return [
        make_gold(
            reviewer,
            prompt=f"{words} subject number {chr(97 + n % 26)}{n}",
            label="harmful" if n % 2 else "unharmful",
            **fields,
        )
        for n in range(count)
    ]


def make_snapshot(count: int = 40, **fields: Any) -> DatasetSnapshot:
    lead = make_user(Role.LEAD)
    make_much_gold(lead, count, **fields)
    return create_snapshot(created_by=lead, filters=SnapshotFilters())


def make_candidate(parent: ModelVersion, name: str = "candidate", checkpoint: Path | str = "nowhere") -> ModelVersion:
    return ModelVersion.objects.create(
        name=name, checkpoint=str(checkpoint), parent=parent, status=VersionStatus.CANDIDATE
    )


def make_evaluation(version: ModelVersion, snapshot: DatasetSnapshot, wrong: int = 0) -> Evaluation:
    """A finished evaluation of the snapshot's holdout whose first `wrong` rows are wrong."""
    evaluation = Evaluation.objects.create(
        version=version, snapshot=snapshot, status=RunStatus.SUCCEEDED, finished_at=timezone.now()
    )
    held_out = snapshot.rows.filter(split="holdout").select_related("gold__item").order_by("id")
    for number, row in enumerate(held_out):
        gold = {"prompt": row.gold.prompt_label, "response": row.gold.response_label}
        flipped = {"harmful": "unharmful", "unharmful": "harmful"}
        predicted = gold if number >= wrong else {**gold, "prompt": flipped[str(gold["prompt"])]}
        EvaluationRow.objects.create(
            evaluation=evaluation,
            row_id=str(row.gold.item_id),
            parsed=True,
            gold=gold,
            categories=row.gold.categories,
            predicted=predicted,
            correct=predicted == gold,
            completion=f"<think>\nStep 1: {version.name} says {predicted['prompt']}.\n</think>\n<result>\n"
            f"Request: {predicted['prompt']}\nResponse: None\n</result>",
        )
    return evaluation
