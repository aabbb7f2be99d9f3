"""Stores one record in the caller's transaction: the item with its predictions, reviews, gold, appeals and events."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from annotation.importing.places import Places
from annotation.importing.record import GoldFacts, PredictionFacts, Record, ReviewFacts
from annotation.ingest.authors import store_authors
from annotation.ingest.item_text import write_texts
from annotation.ingest.store_items import content_hash
from annotation.models import (
    Appeal,
    Assignment,
    BulkDecision,
    Event,
    GoldLabel,
    HardSample,
    HiddenGold,
    Item,
    ItemMedia,
    Prediction,
    Report,
    Review,
    ReviewRetraction,
)
from annotation.predictions.fingerprints import store_fingerprints
from annotation.review.gold import reviews_wanted
from annotation.status import AssignmentState, ItemStatus

# members of an event's detail that are ids
IDS = ("review", "appeal", "bulk")


class AnotherHistory(ValueError):
    """The item is here already, with other content or another history. Nothing was changed."""


def is_stored(record: Record) -> bool:
    """Whether the record was imported before, or was exported here. Raises AnotherHistory."""
    source, external_id = record.item.identity
    item = Item.objects.filter(source=source, external_id=external_id).first()
    if item is None:
        return False
    final, columns = GoldLabel.objects.standing().filter(item=item).first(), record.final.columns
    same_content = item.content_hash == hash_of(record)
    if (
        not same_content
        or final is None
        or (final.created_at, final.prompt_label, final.response_label, sorted(final.categories))
        != (
            columns["created_at"],
            columns["prompt_label"],
            columns["response_label"],
            sorted(columns["categories"]),
        )
    ):
        raise AnotherHistory
    return True


def hash_of(record: Record) -> str:
    columns = record.item.columns
    media = [medium.sha256 for medium in record.item.media]
    return content_hash(columns["prompt"], columns["response"], media, columns["messages"])


def store_record(record: Record, places: Places, assets: Mapping[str, int]) -> Item:
    """`assets`: the ids of the item's media by sha256."""
    item = _store_item(record, places, assets)
    predictions = {one.version: _store_prediction(one, item, places) for one in record.predictions}
    if record.item.shown:
        item.prediction = predictions[record.item.shown]
        item.save(update_fields=["prediction"])
    hidden_gold = _store_hidden_gold(record, item, places)
    reviews: dict[int, Review] = {}
    for facts in record.reviews:
        reviews[facts.id] = _store_review(facts, item, predictions, hidden_gold, reviews, places)
    gold = {
        facts.id: _store_gold(facts, item, predictions, reviews, places)
        for facts in sorted((*record.gold, record.final), key=lambda one: one.id)
    }
    appeals = {
        facts.id: Appeal.objects.create(
            item=item,
            gold=gold[facts.gold],
            outcome=None if facts.outcome is None else gold[facts.outcome],
            opened_by=places.person(facts.opened_by) if facts.opened_by else None,
            **facts.columns,
        )
        for facts in record.appeals
    }
    _store_events(record, item, reviews, appeals, places)
    _free_slots(item, record)
    if item.prediction is not None:
        store_fingerprints([item.prediction])
    return item


def _store_item(record: Record, places: Places, assets: Mapping[str, int]) -> Item:
    facts = record.item
    author = store_authors([(facts.columns["source"], facts.author)]) if facts.author else {}
    item = Item.objects.create(
        **facts.columns,
        queue=places.queue(facts.queue),
        content_hash=hash_of(record),
        author_id=next(iter(author.values()), None),
        report_count=len(facts.reports),
        free_slots=0,
    )
    write_texts([item.pk])
    ItemMedia.objects.bulk_create(
        ItemMedia(item=item, asset_id=assets[medium.sha256], position=position)
        for position, medium in enumerate(facts.media)
    )
    Report.objects.bulk_create(
        Report(
            item=item,
            reporter=report.reporter,
            reason=report.reason,
            reported_at=report.reported_at,
            created_at=came_in,
            digest=report.digest,
        )
        for report, came_in in facts.reports
    )
    return item


def _store_prediction(facts: PredictionFacts, item: Item, places: Places) -> Prediction:
    return Prediction.objects.create(
        item=item,
        version=places.version(facts.version),
        policy_version=None if facts.policy is None else places.policy(facts.policy),
        **facts.columns,
    )


def _store_hidden_gold(record: Record, item: Item, places: Places) -> HiddenGold | None:
    facts = record.hidden_gold
    if facts is None:
        return None
    return HiddenGold.objects.create(
        item=item, added_by=places.person(facts.added_by) if facts.added_by else None, **facts.columns
    )


def _store_review(
    facts: ReviewFacts,
    item: Item,
    predictions: Mapping[str, Prediction],
    hidden_gold: HiddenGold | None,
    earlier: Mapping[int, Review],
    places: Places,
) -> Review:
    at, reviewer = facts.columns["created_at"], places.person(facts.reviewer)
    taken = at - timedelta(seconds=min(max(facts.columns["seconds"], 0.0), 86_400.0))
    scored = hidden_gold if facts.of_hidden_gold else None
    assignment = Assignment.objects.create(
        item=item,
        queue=item.queue,
        reviewer=reviewer,
        state=AssignmentState.SUBMITTED if facts.taken_back_at is None else AssignmentState.UNDONE,
        created_at=taken,
        opened_at=taken,
        expires_at=at,
        ended_at=at,
        round=facts.round,
        mode=facts.columns["mode"],
        takes_slot=scored is None and facts.bulk is None,
        hidden_gold=scored,
        first_prompt_label=facts.columns["first_prompt_label"],
        first_response_label=facts.columns["first_response_label"],
    )
    review = Review.objects.create(
        item=item,
        prediction=predictions[facts.version] if facts.version else None,
        reviewer=reviewer,
        assignment=assignment,
        idempotency_key=_key("review", item.source, item.external_id, facts.id),
        policy_version=places.policy(facts.policy),
        upholds=None if facts.upholds is None else earlier[facts.upholds],
        hidden_gold=scored,
        bulk=None if facts.bulk is None else _bulk(facts, facts.bulk, places),
        **facts.columns,
    )
    if facts.taken_back_at is not None:
        ReviewRetraction.objects.create(review=review, at=facts.taken_back_at)
    return review


def _bulk(facts: ReviewFacts, number: int, places: Places) -> BulkDecision:
    """The bulk decision of a review: one for all imported reviews of a person that name it."""
    if (facts.reviewer, number) not in places.bulks:
        columns = facts.columns
        places.bulks[facts.reviewer, number] = BulkDecision.objects.get_or_create(
            made_by=places.person(facts.reviewer),
            idempotency_key=_key("bulk", facts.reviewer, "", number),
            defaults={
                "at": columns["created_at"],
                **{name: columns[name] for name in ("prompt_label", "response_label", "categories", "note")},
            },
        )[0]
    return places.bulks[facts.reviewer, number]


def _store_gold(
    facts: GoldFacts,
    item: Item,
    predictions: Mapping[str, Prediction],
    reviews: Mapping[int, Review],
    places: Places,
) -> GoldLabel:
    prediction = predictions[facts.version] if facts.version else None
    gold = GoldLabel.objects.create(
        item=item,
        review=reviews[facts.review],
        prediction=prediction,
        policy_version=places.policy(facts.policy),
        **facts.columns,
    )
    if facts.hard is not None and prediction is not None:
        HardSample.objects.create(gold=gold, prediction=prediction, errors=facts.hard, created_at=gold.created_at)
    return gold


def _store_events(
    record: Record, item: Item, reviews: Mapping[int, Review], appeals: Mapping[int, Appeal], places: Places
) -> None:
    bulks = {facts.bulk: reviews[facts.id].bulk_id for facts in record.reviews if facts.bulk is not None}
    ids: dict[str, dict[Any, Any]] = {
        "review": {number: row.pk for number, row in reviews.items()},
        "appeal": {number: row.pk for number, row in appeals.items()},
        "bulk": bulks,
    }
    Event.objects.bulk_create(
        Event(
            at=event.at,
            kind=event.kind,
            item=item,
            actor=places.person(event.actor) if event.actor else None,
            detail={
                name: ids[name].get(value, value) if name in IDS and isinstance(value, int) else value
                for name, value in event.detail.items()
            },
        )
        for event in record.events
    )


def _free_slots(item: Item, record: Record) -> None:
    """An item that waits for another round goes on waiting here."""
    if item.status == ItemStatus.READY:
        done = sum(
            facts.round == item.round and facts.taken_back_at is None and not facts.of_hidden_gold
            for facts in record.reviews
        )
        item.free_slots = max(reviews_wanted(item) - done, 1)
    elif item.status == ItemStatus.ESCALATED:
        item.free_slots = 1
    item.save(update_fields=["free_slots"])


def _key(*parts: object) -> str:
    """An idempotency key that is the same in every import of the same row."""
    return f"import-{hashlib.sha256(repr(parts).encode()).hexdigest()[:48]}"
