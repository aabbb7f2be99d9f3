"""Turns a line of an export into a Record. Version 1 told less: what it left out is filled in."""

import re
from typing import Any

from annotation.database.storable import why_not_json
from annotation.exporting.canonical import FORMAT, VERSION
from annotation.importing.fields import Fields, RecordNotReadable
from annotation.importing.read_history import read_appeals, read_events, read_gold, read_hidden_gold
from annotation.importing.read_reviews import read_reviews, verdict_of
from annotation.importing.record import GoldFacts, ItemFacts, Medium, Policy, PredictionFacts, Record
from annotation.ingest.language_codes import LONGEST
from annotation.ingest.read_messages import MAX_MESSAGES, MAX_NAME, ROLES
from annotation.ingest.values import MAX_MEDIA_OF_AN_ITEM, MAX_TEXT_CHARACTERS, IncomingAuthor, IncomingReport
from annotation.status import ItemStatus, Lane
from guardapp.guard.taxonomy import Modality

SHA256 = re.compile(r"[0-9a-f]{64}")
# an item with a verdict is never in another state
STATUSES = (ItemStatus.REVIEWED, ItemStatus.READY, ItemStatus.ESCALATED, ItemStatus.WITHDRAWN)
MESSAGE_ROLES = sorted(set(ROLES.values()))
SLUG = re.compile(r"[-a-zA-Z0-9_]{1,50}")


def read_record(value: object) -> Record:
    """Raises RecordNotReadable."""
    record = Fields.of(value)
    if problem := why_not_json(value):
        raise RecordNotReadable(problem.pointer, problem.detail)
    version = _version(record)
    final, model, given = record.inner("final"), record.inner_or_none("model"), record.inner("model_input")
    policy = policy_of(final if final.has("policy_id") else given)
    seen = given.listed("media_seen")
    predictions = [read_prediction(model, seen)] if model is not None else []
    reviews = read_reviews(record, model, policy)
    history = record.inner_or_none("history")
    if history is not None:
        predictions += [read_prediction(one, one.listed("media_seen")) for one in history.each("predictions")]
    gold = _final(record, final, predictions[0].version if model is not None else None, policy, reviews)
    item = _item(record.inner("item"), final, reviews[-1].columns["lane"] if reviews else Lane.FLAGGED, predictions)
    if not reviews:
        raise record.wrong("review", "is empty: a reviewed item has at least one review.")
    return Record(
        item=item,
        predictions=tuple(predictions),
        reviews=tuple(reviews),
        gold=tuple(read_gold(history)) if history else (),
        final=gold,
        events=tuple(read_events(record, reviews, gold, old=version < 2)),
        appeals=tuple(read_appeals(history)) if history else (),
        hidden_gold=read_hidden_gold(history) if history else None,
        definitions=record.mapping("definitions") or None,
    )


def policy_of(fields: Fields) -> Policy:
    slug = fields.text("policy_id", 50)
    if not SLUG.fullmatch(slug):
        raise fields.wrong("policy_id", "is no name of a policy: letters, digits, hyphens and underscores.")
    return slug, fields.whole("policy_version", 1)


def read_prediction(model: Fields, seen: list[Any]) -> PredictionFacts:
    """The record's model, or one of its other predictions."""
    verdict, policy = model.inner_or_none("verdict"), model.inner_or_none("policy")
    if policy is not None:
        of_prompt: Policy | None = (policy.text("id", 50), policy.whole("version", 1))
    else:
        of_prompt = policy_of(model) if model.has("policy_id") else None
    figures = ("prompt_score", "response_score", "prompt_marginal", "response_marginal", "prompt_harm", "response_harm")
    columns: dict[str, Any] = {
        "completion": model.text("output_raw"),
        "parsed": verdict is not None,
        "steps": model.texts("steps"),
        **(verdict_of(verdict) if verdict is not None else {}),
        **{name: model.number_or_none(name) for name in figures},
        "rollouts": [_rollout(one) for one in model.each("rollouts")],
        "disagreement": model.number("disagreement", default=0.0),
        "windows": model.listed("windows") if model.has("windows") else None,
        "tokens": model.whole("tokens", default=0),
        "latency_ms": model.whole("latency_ms", default=0),
        "shadow": model.flag("shadow"),
        "media_seen": [Fields.of(one, f"{model.pointer}/media_seen").value for one in seen],
    }
    if model.has("at"):
        columns["created_at"] = model.moment("at")
    return PredictionFacts(model.text("version", 100, empty=False), of_prompt, columns)


def _version(record: Fields) -> int:
    if not record.has("format"):
        return 1
    if record.text("format") != FORMAT:
        raise record.wrong("format", f"is not {FORMAT}: only canonical exports can be imported.")
    version = record.whole("version", 1)
    if version > VERSION:
        raise record.wrong("version", f"is {version}; this release reads up to {VERSION}. Import it with a newer one.")
    return version


def _rollout(one: Fields) -> dict[str, Any]:
    verdict = one.inner_or_none("verdict")
    labels = verdict_of(verdict) if verdict is not None else {"prompt_label": None, "response_label": None}
    made = {
        "completion": one.text("text"),
        "prompt_label": labels["prompt_label"],
        "response_label": labels["response_label"],
        "parsed": one.flag("parsed"),
    }
    if "tokens" in one.value:
        made["tokens"] = one.whole_or_none("tokens")
    made |= {name: one.number_or_none(name) for name in ("prompt_score", "response_score") if name in one.value}
    return made


def _final(record: Fields, final: Fields, version: str | None, policy: Policy, reviews: list[Any]) -> GoldFacts:
    target, hard = record.inner("target"), record.inner_or_none("hard")
    (gold,) = read_gold(None, final=final, target=target, hard=hard, version=version, policy=policy)
    if gold.review not in {one.id for one in reviews}:
        if final.has("review"):
            raise final.wrong("review", "names no review of this record.")
        raise record.wrong("review", "is empty: a reviewed item has at least one review.")
    return gold


def _item(item: Fields, final: Fields, lane: str, predictions: list[PredictionFacts]) -> ItemFacts:
    came_in = item.moment("created_at") if item.has("created_at") else final.moment("at")
    queue = item.text("queue", 50, default="default")
    if not SLUG.fullmatch(queue):
        raise item.wrong("queue", "is no name of a queue: letters, digits, hyphens and underscores.")
    shown = item.text_or_none("version", 100)
    if shown is not None and shown not in {one.version for one in predictions}:
        raise item.wrong("version", "names no prediction of this record.")
    columns = {
        "source": item.text("source", 100, empty=False),
        "external_id": item.text("external_id", 200, empty=False),
        "modality": item.choice("modality", [one.value for one in Modality]),
        "prompt": item.text("request", MAX_TEXT_CHARACTERS, default=""),
        "response": item.text_or_none("response", MAX_TEXT_CHARACTERS),
        "messages": _messages(item),
        "metadata": item.mapping("metadata"),
        "reason": item.mapping("reason"),
        "reported_at": item.moment_or_none("reported_at"),
        "language": item.text("language", LONGEST, default=""),
        "url": item.text("url", default=""),
        "thread": [dict(one.value) for one in item.each("thread")],
        "created_at": came_in,
        "withdrawn_at": item.moment_or_none("withdrawn_at"),
        "status": item.choice("status", STATUSES, default=ItemStatus.REVIEWED),
        "lane": item.choice("lane", Lane.values, default=lane),
        "round": item.whole("round", 1, 32_000, default=1),
        "severity": item.whole("severity", 0, 3, default=0),
        "priority": item.number("priority", default=0.0),
    }
    media = tuple(_medium(one) for one in item.each("media"))
    if len(media) > MAX_MEDIA_OF_AN_ITEM:
        raise item.wrong("media", f"are more than {MAX_MEDIA_OF_AN_ITEM}.")
    author = item.inner_or_none("author")
    return ItemFacts(
        columns,
        queue,
        shown or (predictions[0].version if predictions else None),
        media,
        None if author is None else _author(author),
        tuple((_report(one), one.moment("created_at")) for one in item.each("reports")),
    )


def _messages(item: Fields) -> list[dict[str, Any]]:
    """What came before prompt and response. Their media are the item's first ones, in order."""
    rows: list[dict[str, Any]] = []
    media, place = len(item.listed("media")), 0
    for one in item.each("messages"):
        own = one.listed("media")
        wanted = list(range(place, place + len(own)))
        place += len(own)
        if own != wanted or place > media:
            raise one.wrong("media", "must be the positions of the item's first media, in the order of the messages.")
        row: dict[str, Any] = {
            "role": one.choice("role", MESSAGE_ROLES),
            "text": one.text("text", MAX_TEXT_CHARACTERS, default=""),
        }
        name = one.text("name", MAX_NAME, default="")
        rows.append(row | ({"name": name} if name else {}) | ({"media": wanted} if own else {}))
    if len(rows) > MAX_MESSAGES:
        raise item.wrong("messages", f"are more than {MAX_MESSAGES}.")
    return rows


def _medium(one: Fields) -> Medium:
    sha256 = one.text("sha256")
    if not SHA256.fullmatch(sha256):
        raise one.wrong("sha256", "is no SHA-256 sum: 64 hexadecimal digits in lower case.")
    kind = one.choice("kind", ("image", "video"))
    return Medium(one.text("uri", 200), sha256, one.text("mime", 64, default=""), kind, one.pointer)


def _author(one: Fields) -> IncomingAuthor:
    return IncomingAuthor(
        id=one.text("id", 200, empty=False),
        name=one.text("name", 200, default=""),
        url=one.text("url", default=""),
        created_at=one.moment_or_none("created_at"),
        strikes=one.whole_or_none("strikes"),
    )


def _report(one: Fields) -> IncomingReport:
    reporter = one.text("reporter", 200, default="")
    return IncomingReport(reporter, one.mapping("reason"), one.moment_or_none("reported_at"))
