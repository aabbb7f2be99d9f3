"""The reasoning that training learns from, where a person corrected a verdict and wrote none.

The guard's own rollouts that are stored with the prediction come first, at once, when the gold label settles
(`reasoning_from_rollouts`). Else the gold row waits and the inference worker has the guard write it
(`complete_targets`, how: predictions.forced_reasoning). Once it is worn out the target is UNAVAILABLE: training leaves
the row out, and it still counts in evaluation.
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
from annotation.predictions.active_policy import policy_categories, policy_codes, policy_for
from annotation.predictions.forced_reasoning import Target, Wanted, write_reasoning
from annotation.predictions.predict import ENGINE_FAILURES, sample_of
from annotation.status import StepMark, TargetSource
from guardapp.guard.parsing import parse_steps
from guardapp.guard.protocol import Engine

logger = logging.getLogger(__name__)

Labels = tuple[str | None, str | None]  # prompt, response
MICRO_BATCH = 8  # rows between two renewals of the claim


@dataclass(frozen=True, slots=True)
class Completed:
    """What one call did: rows claimed, targets written, rows given up. The rest wait for another attempt."""

    claimed: int = 0
    completed: int = 0
    unavailable: int = 0


def reasoning_from_rollouts(prediction: Prediction, labels: Labels) -> tuple[str, ...] | None:
    """Steps of the first stored rollout that reached the gold labels, prompt and response both; None where none did."""
    for rollout in prediction.rollouts:
        if rollout["parsed"] and (rollout["prompt_label"], rollout["response_label"]) == labels:
            steps = parse_steps(rollout["completion"])
            if steps:
                return steps
    return None


def complete_targets(*, engine: Engine, version: ModelVersion, limit: int) -> Completed:
    """Have the guard write the reasoning that standing gold rows lack, at most `limit` of them."""
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
    """Targets by gold id, of the rows for which one came out."""
    wanted = _wanted(version, batch)
    if not wanted:
        return {}
    # another attempt draws other rollouts
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
    """By gold id. Left out: rows whose media cannot be shown, and rows without a prompt label, which no completion can
    state.
    """
    policy = policy_for(version)
    evidence = evidence_of([row.item for row in batch], policy, policy_codes(policy))
    wanted: dict[int, Wanted] = {}
    for row in batch:
        shown = evidence[row.item_id]
        if isinstance(shown, Evidence) and row.prompt_label is not None:
            names = {category.code: category.name for category in policy_categories(row.policy_version)}
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
    """Write what is still held and end the claim on the batch. Returns how many targets were written."""
    written = 0
    with transaction.atomic():
        held = claim.held(batch)
        for key, target in targets.items():
            written += held.filter(pk=key, withdrawn_at__isnull=True).update(
                target_steps=list(target.steps), target_source=target.source, **TARGET_CLAIMS.freed
            )
        held.update(**TARGET_CLAIMS.freed)
    return written
