"""Predicts pending items: claims them, decodes media, runs the guard, stores predictions and routes the items."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from annotation import prometheus
from annotation.database.claims import Claim
from annotation.media.frames import Evidence, evidence_of
from annotation.models import Calibration, Event, Item, ModelVersion, Prediction
from annotation.models.claims import ITEM_CLAIMS
from annotation.predictions.active_policy import policy_codes, policy_for, policy_text
from annotation.predictions.calibration import calibration_of, values_of
from annotation.predictions.claims import STORED_FIELDS, Failure, give_back, give_to_people, set_apart
from annotation.predictions.fingerprints import store_fingerprints
from annotation.predictions.shadow_requests import request_shadow
from annotation.predictions.turns import TURNS, Predicted
from annotation.predictions.windows import window_rows, windowing
from annotation.queues.rules import enabled_rules, place
from annotation.status import EventKind, ItemStatus
from guardapp.guard.how_sure import SIDES, how_sure
from guardapp.guard.judging import ROLLOUT_TEMPERATURE, ROLLOUT_TOP_P
from guardapp.guard.media.decode import MediaError
from guardapp.guard.media.errors import MediaStorageFailed
from guardapp.guard.protocol import Engine, EngineError
from guardapp.guard.verdict import ContextMessage, Decoding, Rollout, Sample
from guardapp.guard.windows import WindowedEngine, reading_windows, why_too_long

logger = logging.getLogger(__name__)

LONG_TOKENS = 1_024  # of a prompt; longer ones are predicted apart
MICRO_BATCH = 16  # items predicted and stored together: the most a dying worker can lose
# raised by engines for a bad sample or a failing device; any other exception is a bug
ENGINE_FAILURES = (EngineError, RuntimeError, ValueError, LookupError, TypeError, ArithmeticError, OSError, MemoryError)


@dataclass(frozen=True, slots=True)
class Answer:
    """The guard's answer for one item. `latency_ms` is the latency of the whole batch."""

    greedy: Rollout
    sampled: tuple[Rollout, ...]
    latency_ms: int


def predict_pending(*, engine: Engine, version: ModelVersion, limit: int) -> Predicted:
    """Predict at most `limit` pending items. Each becomes ready for review, pending again, or PREDICTION_FAILED."""
    claim = TURNS.claim(limit)
    total = Predicted(len(claim.rows))
    with TURNS.spent_on(claim):
        for start in range(0, len(claim.rows), MICRO_BATCH):
            if start:
                claim.renew()
            with claim.kept():
                total += _predict(engine, version, claim, claim.rows[start : start + MICRO_BATCH])
    return total


def _predict(engine: Engine, version: ModelVersion, claim: Claim[Item], items: Sequence[Item]) -> Predicted:
    evidence: dict[int, Evidence] = {}
    failures: dict[int, Failure] = {}
    policy = policy_for(version)
    for item_id, shown in evidence_of(items, policy, policy_codes(policy)).items():
        if isinstance(shown, MediaError):
            # a full disk or unavailable store is not the item's fault; any other error would recur on every attempt
            failures[item_id] = Failure(
                shown.code,
                str(shown),
                permanent=not isinstance(shown, MediaStorageFailed),
                blameless=isinstance(shown, MediaStorageFailed),
            )
        else:
            evidence[item_id] = shown
    engine = reading_windows(engine, windowing())
    too_long = _too_long(engine, items, evidence)
    long = _long(engine, items, evidence, too_long)
    readable = [item for item in items if item.pk in evidence and item.pk not in too_long and item not in long]
    apart = set_apart(claim=claim, items=long)
    answers, engine_failures = _ask(engine, claim, readable, evidence)
    stored = _store(version, claim, answers, evidence) + give_to_people(claim=claim, too_long=too_long)
    lost = give_back(claim=claim, failures=failures | engine_failures)
    prometheus.PREDICTIONS.labels("ready").inc(stored)
    prometheus.PREDICTIONS.labels("failed").inc(lost)
    if answers:
        prometheus.PREDICTION_SECONDS.labels(version.name).observe(
            max(answer.latency_ms for answer in answers.values()) / 1_000
        )
    return Predicted(count=stored, failed=lost, apart=apart)


def _too_long(engine: Engine, items: Sequence[Item], evidence: dict[int, Evidence]) -> dict[int, str]:
    """Find items that the guard cannot judge, in windows neither, and say why by item id."""
    found: dict[int, str] = {}
    for item in items:
        if item.pk in evidence:
            error = why_too_long(engine, sample_of(item, evidence[item.pk]), settings.MAX_NEW_TOKENS)
            if error is not None:
                found[item.pk] = str(error)
    return found


def _long(
    engine: Engine, items: Sequence[Item], evidence: dict[int, Evidence], too_long: Mapping[int, str]
) -> list[Item]:
    """Find items that take much longer than others, which they must not hold; none of those claimed apart."""
    if not isinstance(engine, WindowedEngine):
        return []
    return [
        item
        for item in items
        if not item.apart
        and item.pk in evidence
        and item.pk not in too_long
        and engine.engine.prompt_tokens(sample_of(item, evidence[item.pk])) > LONG_TOKENS
    ]


def _ask(
    engine: Engine, claim: Claim[Item], items: Sequence[Item], evidence: dict[int, Evidence]
) -> tuple[dict[int, Answer], dict[int, Failure]]:
    """Return answers and failures by item id.

    If the batch fails, each item is predicted alone, so that a bad one does not fail the others.
    """
    if not items:
        return {}, {}
    samples = [sample_of(item, evidence[item.pk]) for item in items]
    try:
        return dict(zip([item.pk for item in items], _generate(engine, samples), strict=True)), {}
    except ENGINE_FAILURES as error:
        if len(items) == 1:
            logger.exception("The guard could not answer item %s", items[0].pk)
            return {}, {items[0].pk: Failure("engine_error", f"{type(error).__name__}: {error}"[:2_000])}
        logger.warning("The guard failed on a batch of %s (%s): each item is asked alone", len(items), error)
    answers: dict[int, Answer] = {}
    failures: dict[int, Failure] = {}
    for item in items:
        claim.renew()
        answered, failed = _ask(engine, claim, [item], evidence)
        answers |= answered
        failures |= failed
    return answers, failures


def sample_of(item: Item, evidence: Evidence) -> Sample:
    return Sample(
        id=str(item.pk),
        prompt=item.prompt,
        response=item.response,
        media=evidence.media,
        policy_text=policy_text(evidence.policy) if evidence.policy else None,
        codes=evidence.codes,
        context=tuple(ContextMessage.of(message) for message in item.messages),
    )


def answer_greedily(engine: Engine, samples: Sequence[Sample]) -> list[Answer]:
    """Answer the samples without sampled rollouts, in order; long ones in windows. Raises ENGINE_FAILURES."""
    engine = reading_windows(engine, windowing())
    started = time.monotonic()
    greedy = engine.generate(samples, Decoding(max_new_tokens=settings.MAX_NEW_TOKENS))
    latency_ms = round((time.monotonic() - started) * 1_000)
    return [Answer(group[0], (), latency_ms) for group in greedy]


def _generate(engine: Engine, samples: Sequence[Sample]) -> list[Answer]:
    """Answer with sampled rollouts, except where content was judged in windows: each would read all of it again."""
    started = time.monotonic()
    answers = answer_greedily(engine, samples)
    whole = [number for number, answer in enumerate(answers) if not answer.greedy.parts]
    sampled: dict[int, Sequence[Rollout]] = {}
    if settings.ROLLOUTS and whole:
        decoding = Decoding(
            temperature=ROLLOUT_TEMPERATURE,
            top_p=ROLLOUT_TOP_P,
            n=settings.ROLLOUTS,
            max_new_tokens=settings.MAX_NEW_TOKENS,
        )
        sampled = dict(zip(whole, engine.generate([samples[number] for number in whole], decoding), strict=True))
    latency_ms = round((time.monotonic() - started) * 1_000)
    return [Answer(answer.greedy, tuple(sampled.get(number, ())), latency_ms) for number, answer in enumerate(answers)]


def _store(version: ModelVersion, claim: Claim[Item], answers: dict[int, Answer], evidence: dict[int, Evidence]) -> int:
    """Store the answers for items still claimed. Answers for items already predicted by this version are dropped."""
    now = timezone.now()
    with transaction.atomic():
        held = list(
            claim.held().filter(pk__in=answers).select_for_update(of=("self",)).select_related("queue", "author")
        )
        rules, calibration = enabled_rules(), calibration_of(version)
        # the version is now in production, and its new predictions have rollouts
        Prediction.objects.filter(version=version, item__in=held, shadow=True).delete()
        known = {row.item_id: row for row in Prediction.objects.filter(version=version, item__in=held)}
        fresh = [
            prediction_row(item, version, answers[item.pk], evidence[item.pk], calibration)
            for item in held
            if item.pk not in known
        ]
        known |= {row.item_id: row for row in Prediction.objects.bulk_create(fresh)}
        store_fingerprints(fresh)
        for item in held:
            prediction = known[item.pk]
            item.status, item.prediction = ItemStatus.READY, prediction
            place(item=item, prediction=prediction, version=version.name, rules=rules)
            ITEM_CLAIMS.clear(item)
            item.apart = None
            item.error_code = item.error_message = ""
        Item.objects.bulk_update(held, STORED_FIELDS)
        Event.objects.bulk_create(
            [
                Event(at=now, kind=EventKind.PREDICTED, item=item, detail={"version": version.name, "lane": item.lane})
                for item in held
            ]
        )
        request_shadow(items=held)
    return len(held)


def prediction_row(
    item: Item,
    version: ModelVersion,
    answer: Answer,
    evidence: Evidence,
    calibration: Calibration | None,
    *,
    shadow: bool = False,
) -> Prediction:
    """The row to store. `calibration` is the version's, applied to its probabilities of harm."""
    greedy, judgement = answer.greedy, answer.greedy.judgement
    prompt_label, response_label = labels_of(greedy)
    prompt, response = (how_sure((greedy, *answer.sampled), side, values_of(calibration)) for side in SIDES)
    return Prediction(
        item=item,
        version=version,
        completion=greedy.completion,
        parsed=judgement is not None,
        steps=list(judgement.steps) if judgement else [],
        categories=list(judgement.verdict.categories) if judgement else [],
        prompt_label=prompt_label,
        response_label=response_label,
        prompt_score=greedy.prompt_score,
        response_score=greedy.response_score,
        prompt_marginal=prompt.marginal,
        response_marginal=response.marginal,
        prompt_harm=prompt.harm,
        response_harm=response.harm,
        calibration=calibration,
        rollouts=[_rollout_row(rollout) for rollout in answer.sampled],
        disagreement=disagreement(greedy, answer.sampled),
        policy_version=evidence.policy,
        media_seen=list(evidence.rows),
        windows=window_rows(greedy),
        latency_ms=answer.latency_ms,
        tokens=greedy.tokens + sum(rollout.tokens for rollout in answer.sampled),
        shadow=shadow,
    )


def labels_of(rollout: Rollout) -> tuple[str | None, str | None]:
    """Return the (prompt, response) labels; both are None if the rollout did not parse."""
    verdict = rollout.judgement.verdict if rollout.judgement else None
    if verdict is None:
        return None, None
    return (verdict.prompt.value if verdict.prompt else None), (verdict.response.value if verdict.response else None)


def disagreement(greedy: Rollout, sampled: Sequence[Rollout]) -> float:
    """Return the share of sampled rollouts whose labels, or failure to parse, differ from the greedy one."""
    if not sampled:
        return 0.0
    expected = (greedy.judgement is not None, labels_of(greedy))
    return sum((rollout.judgement is not None, labels_of(rollout)) != expected for rollout in sampled) / len(sampled)


def _rollout_row(rollout: Rollout) -> dict[str, Any]:
    prompt_label, response_label = labels_of(rollout)
    return {
        "completion": rollout.completion,
        "prompt_label": prompt_label,
        "response_label": response_label,
        "parsed": rollout.judgement is not None,
        "tokens": rollout.tokens,
        "prompt_score": rollout.prompt_score,
        "response_score": rollout.response_score,
    }
