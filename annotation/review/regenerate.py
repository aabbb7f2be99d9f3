"""Regenerate from here: a reviewer keeps the first steps, and the guard rewrites the rest.

Each request is a row. The inference worker claims one at a time, so a killed worker loses only one answer; after the
claim expires, another worker takes the row, until its attempts are used up.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from annotation.database import clock
from annotation.database.claims import Claim
from annotation.errors import DecisionNotValid, ServiceError
from annotation.media.frames import Evidence, evidence_of
from annotation.models import ModelVersion, Regeneration, User
from annotation.models.claims import REGENERATION_CLAIMS
from annotation.predictions.active_policy import policy_codes, policy_for
from annotation.predictions.predict import ENGINE_FAILURES, labels_of, sample_of
from annotation.predictions.windows import decisive_part
from annotation.review.decision import MAX_STEPS
from annotation.review.drafts import draft_first
from annotation.review.leases import active_assignment
from annotation.review.page_values import judgement_shown
from annotation.status import RegenerationState
from guardapp.guard.judging import ROLLOUT_TEMPERATURE, ROLLOUT_TOP_P
from guardapp.guard.media.errors import MediaStorageFailed
from guardapp.guard.protocol import Engine
from guardapp.guard.steps import clean_step
from guardapp.guard.verdict import Decoding, Rollout

logger = logging.getLogger(__name__)


class JudgementNotShown(ServiceError):
    """The guard's reasoning is not shown to you here, so there is nothing to write again."""


@dataclass(frozen=True, slots=True)
class Regenerated:
    """The counts of one call: rows claimed, answers stored, rows FAILED. The rest wait for another attempt."""

    claimed: int = 0
    done: int = 0
    failed: int = 0


def request_regeneration(*, reviewer: User, token: UUID, kept: Sequence[str]) -> Regeneration:
    """Request new steps after `kept`, replacing any pending request of this person for the item.

    Raises LeaseExpired, AssignmentNotFound, JudgementNotShown, DecisionNotValid.
    """
    steps = [cleaned for step in kept if (cleaned := clean_step(step))]
    if len(steps) >= MAX_STEPS:
        raise DecisionNotValid(
            "steps", _("leave no room: a reasoning has at most %(most)s steps.") % {"most": MAX_STEPS}
        )
    now = clock.now()
    with transaction.atomic():
        # locks the item, which serializes concurrent requests
        assignment = active_assignment(reviewer, token, now)
        prediction = assignment.item.prediction
        if prediction is None or not judgement_shown(assignment, {"first": draft_first(assignment)}):
            raise JudgementNotShown
        Regeneration.objects.filter(
            item=assignment.item, reviewer=reviewer, state__in=REGENERATION_CLAIMS.open
        ).delete()
        return Regeneration.objects.create(
            item=assignment.item, prediction=prediction, reviewer=reviewer, kept=steps, created_at=now
        )


def regenerations_wait() -> bool:
    return Regeneration.objects.filter(REGENERATION_CLAIMS.free()).exists()


def regenerate_next(*, engine: Engine, version: ModelVersion, limit: int) -> Regenerated:
    """Answer the oldest requests, at most `limit`, one at a time."""
    claimed = done = 0
    failed = _give_up()
    while claimed < limit and (claim := _claim()).rows:
        claimed += 1
        with claim.kept():
            result = _answer(engine, version, claim.rows[0])
        done += _store(claim, result)
        failed += _give_up()
    return Regenerated(claimed, done, failed)


def _claim() -> Claim[Regeneration]:
    return REGENERATION_CLAIMS.take(Regeneration.objects.filter(REGENERATION_CLAIMS.fresh()).order_by("attempts", "id"))


def _answer(engine: Engine, version: ModelVersion, row: Regeneration) -> Rollout | str:
    """The completion, or the reason for its absence; "" if another attempt may help."""
    policy = policy_for(version)
    shown = evidence_of([row.item], policy, policy_codes(policy))[row.item_id]
    if not isinstance(shown, Evidence):
        return "" if isinstance(shown, MediaStorageFailed) else str(shown)
    try:
        sample = decisive_part(row.prediction, sample_of(row.item, shown))
        (rollout,) = engine.continue_from([sample], [opening(row.kept)], _decoding(row))
    except ENGINE_FAILURES:
        logger.exception("%s could not regenerate steps of item %s", version.name, row.item_id)
        return ""
    return rollout


def opening(kept: Sequence[str]) -> str:
    """The start of a completion in the layout of `render`, up to the number of the first step to generate."""
    return (
        "<think>\n"
        + "".join(f"Step {number}: {step}\n" for number, step in enumerate(kept, start=1))
        + f"Step {len(kept) + 1}:"
    )


def _decoding(row: Regeneration) -> Decoding:
    """Greedy after steps that the reviewer changed, otherwise sampled.

    Greedy decoding after the guard's own steps, or in a repeated request, would produce the same text again.
    """
    again = Regeneration.objects.filter(
        item=row.item_id, kept=row.kept, state=RegenerationState.DONE, pk__lt=row.pk
    ).exists()
    if again or row.kept == row.prediction.steps[: len(row.kept)]:
        return Decoding(
            temperature=ROLLOUT_TEMPERATURE, top_p=ROLLOUT_TOP_P, max_new_tokens=settings.MAX_NEW_TOKENS, seed=row.pk
        )
    return Decoding(max_new_tokens=settings.MAX_NEW_TOKENS)


def _store(claim: Claim[Regeneration], result: Rollout | str) -> int:
    """Store the result if the claim is still held. Returns the number of answers stored (0 or 1)."""
    now = clock.now()
    if isinstance(result, str):
        if result:
            claim.give_back(state=RegenerationState.FAILED, error=result[:2_000], finished_at=now)
        else:
            claim.give_back(state=RegenerationState.QUEUED)
        return 0
    kept = list(claim.rows[0].kept)
    judgement = result.judgement
    tail = list(judgement.steps[len(kept) :]) if judgement is not None else []
    prompt_label, response_label = labels_of(result)
    if not tail:
        error = (
            "The guard's answer did not parse: it states no verdict that could be read."
            if judgement is None
            else "The guard wrote no further step."
        )
        claim.give_back(state=RegenerationState.FAILED, completion=result.completion, error=error, finished_at=now)
        return 0
    return claim.give_back(
        state=RegenerationState.DONE,
        completion=result.completion,
        steps=[*kept, *tail],
        prompt_label=prompt_label,
        response_label=response_label,
        error="",
        finished_at=now,
    )


def _give_up() -> int:
    """Mark rows that have used up their attempts as FAILED. Returns how many."""
    return Regeneration.objects.filter(REGENERATION_CLAIMS.worn_out()).update(
        state=RegenerationState.FAILED,
        finished_at=clock.now(),
        error=f"The guard could not write it in {REGENERATION_CLAIMS.most_attempts} attempts.",
        **REGENERATION_CLAIMS.freed,
    )
