"""Target reasoning for training, when a reviewer corrected a verdict without writing reasoning.

When the gold label settles, the rollouts stored with the prediction are tried first (`reasoning_from_rollouts`).
Otherwise, the inference worker later has the guard write it (`complete_targets`, using predictions.forced_reasoning).
When attempts run out, the target is UNAVAILABLE: the row is excluded from training but still used in evaluation.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from annotation.database.claims import Claim
from annotation.media.frames import Evidence, evidence_of
from annotation.models import GoldLabel, ModelVersion, Prediction
from annotation.models.claims import TARGET_CLAIMS
from annotation.predictions.active_policy import category_names, policy_codes, policy_for
from annotation.predictions.forced_reasoning import Target, Wanted, write_reasoning
from annotation.predictions.predict import ENGINE_FAILURES, sample_of
from annotation.status import StepMark, TargetSource
from guardapp.guard.parsing import parse_steps
from guardapp.guard.protocol import Engine

logger = logging.getLogger(__name__)

Labels = tuple[str | None, str | None]  # prompt, response
MICRO_BATCH = 8  # rows per renewal of the claim


@dataclass(frozen=True, slots=True)
class Completed:
    """The result of one call: rows claimed, targets written and rows given up. The rest are retried."""

    claimed: int = 0
    completed: int = 0
    unavailable: int = 0


def reasoning_from_rollouts(prediction: Prediction, labels: Labels) -> tuple[str, ...] | None:
    """Return the steps of the first stored rollout with both gold labels; None if there is none."""
    for rollout in prediction.rollouts:
        if rollout["parsed"] and (rollout["prompt_label"], rollout["response_label"]) == labels:
            steps = parse_steps(rollout["completion"])
            if steps:
                return steps
    return None


def complete_targets(*, engine: Engine, version: ModelVersion, limit: int) -> Completed:
    """Have the guard write missing reasoning for at most `limit` standing gold rows."""
    unavailable = _give_up()
    waiting = GoldLabel.objects.standing().filter(TARGET_CLAIMS.free()).order_by("id")
    claim = TARGET_CLAIMS.take(waiting, limit=limit)
    completed = 0
    for start in range(0, len(claim.rows), MICRO_BATCH):
        claim.renew()
        batch = claim.rows[start : start + MICRO_BATCH]
        completed += _store(claim, batch, _write(engine, version, batch))
    return Completed(len(claim.rows), completed, unavailable + (_give_up() if claim.rows else 0))


def _give_up() -> int:
    return (
        GoldLabel.objects.standing()
        .filter(TARGET_CLAIMS.worn_out())
        .update(target_source=TargetSource.UNAVAILABLE, **TARGET_CLAIMS.freed)
    )


def _write(engine: Engine, version: ModelVersion, batch: Sequence[GoldLabel]) -> dict[int, Target]:
    """Return the targets found, by gold id."""
    wanted = _wanted(version, batch)
    if not wanted:
        return {}
    # a different seed per attempt, to sample different rollouts
    seed = 1_000_003 * max(row.target_attempts for row in batch)
    try:
        found = write_reasoning(
            engine=engine, rows=list(wanted.values()), max_new_tokens=settings.MAX_NEW_TOKENS, seed=seed
        )
    except ENGINE_FAILURES:
        logger.exception("%s could not write reasoning for gold %s", version.name, [row.pk for row in batch])
        if len(batch) == 1:
            return {}
        return {key: target for row in batch for key, target in _write(engine, version, [row]).items()}
    return {key: target for key, target in zip(wanted, found, strict=True) if target is not None}


def _wanted(version: ModelVersion, batch: Sequence[GoldLabel]) -> dict[int, Wanted]:
    """Return the rows to complete, by gold id.

    Rows with unusable media are excluded, as are rows without a prompt label, which no completion can express.
    """
    policy = policy_for(version)
    evidence = evidence_of([row.item for row in batch], policy, policy_codes(policy))
    wanted: dict[int, Wanted] = {}
    for row in batch:
        shown = evidence[row.item_id]
        if isinstance(shown, Evidence) and row.prompt_label is not None:
            names = category_names(row.policy_version)
            wrong = frozenset(
                step["text"] for step in row.review.steps if step["mark"] == StepMark.WRONG and step["text"]
            )
            wanted[row.pk] = Wanted(
                sample_of(row.item, shown),
                row.prompt_label,
                row.response_label,
                {code: names.get(code, code) for code in row.categories},
                wrong,
                tuple(row.prediction.steps) if row.prediction else (),
            )
    return wanted


def _store(claim: Claim[GoldLabel], batch: Sequence[GoldLabel], targets: dict[int, Target]) -> int:
    """Store the targets of rows still claimed and release the batch. Returns the number of targets written."""
    written = 0
    with transaction.atomic():
        held = claim.held(batch)
        for key, target in targets.items():
            written += held.filter(pk=key, withdrawn_at__isnull=True).update(
                target_steps=list(target.steps), target_source=target.source, **TARGET_CLAIMS.freed
            )
        held.update(**TARGET_CLAIMS.freed)
    return written
