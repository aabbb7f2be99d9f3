"""An installation with every kind of history, its export, and a fresh one to import it into."""

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
from django.apps import apps
from django.utils import timezone

from annotation.exporting.formats import ExportFormat
from annotation.exporting.stream import ExportRequest, export_lines
from annotation.importing.import_canonical import ImportReport, import_canonical
from annotation.ingest.read_rows import read_row
from annotation.ingest.store_items import ingest_items
from annotation.items.bulk_decision import decide_many
from annotation.items.withdraw import withdraw_item
from annotation.models import (
    Item,
    ModelVersion,
    Prediction,
    Review,
    User,
)
from annotation.policies.publish import categories_of, publish_version
from annotation.predictions.active_policy import active_policy_version
from annotation.review.appeals import open_appeal
from annotation.review.assign import assign_next
from annotation.review.decision import Decision, StepReview
from annotation.review.hidden_gold import make_hidden_gold
from annotation.review.submit import submit_review
from annotation.review.undo import undo_last
from annotation.status import ErrorKind, ItemStatus, ReviewKind, Role, StepMark
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_policy, default_queue, make_item, make_user, production

STEPS = ("The user asks for a thing.", "The thing is dangerous (S1).")
FLIPPED = Decision(kind=ReviewKind.CORRECTED, prompt_label=Harmfulness.UNHARMFUL)
EDITED = Decision(
    kind=ReviewKind.CORRECTED,
    prompt_label=Harmfulness.UNHARMFUL,
    severity=1,
    confidence=3,
    note="A note\nof two lines, “quoted”",
    reason="It is bread",
    error_kinds=(ErrorKind.MISREAD,),
    steps=(
        StepReview(STEPS[0], StepMark.RIGHT),
        StepReview(None, None, "Added in between."),
        StepReview(STEPS[1], StepMark.WRONG, "The thing is a loaf of bread."),
    ),
)


def key() -> str:
    return uuid.uuid4().hex


def decide(decision: Decision = FLIPPED, person: User | None = None) -> Review:
    person = person or make_user()
    held = assign_next(reviewer=person, queue=default_queue())
    assert held is not None
    return submit_review(reviewer=person, token=held.token, idempotency_key=key(), decision=decision)


def another_prediction(item: Item) -> None:
    other = ModelVersion.objects.create(name="candidate-7", checkpoint="somewhere")
    Prediction.objects.create(
        item=item, version=other, completion="…", parsed=False, shadow=True, prompt_harm=0.1 + 0.2, tokens=7
    )


def a_lived_in_installation() -> None:
    """Items with every kind of history."""
    lead, person = make_user(Role.LEAD), make_user()
    rollouts = [
        {"completion": "c1", "prompt_label": "unharmful", "response_label": None, "parsed": True, "tokens": 3},
        {
            "completion": "c2",
            "prompt_label": None,
            "response_label": None,
            "parsed": False,
            "tokens": 3,
            "prompt_score": 0.1 + 0.7,
            "response_score": None,
        },
    ]
    first = make_item(
        prompt="Frage mit Ümläuten — \U0001f35e\u2028",
        prediction={"rollouts": rollouts, "disagreement": 1 / 3, "prompt_score": 0.1 + 0.2, "prompt_harm": 1e-17},
        metadata={"rule": "a'b\"c\\", "deep": [1, {"x": None, "n": 1.5}]},
        reason={"policy_id": "p1", "text": "why"},
        reported_at=timezone.now() - timedelta(days=2),
        language="pt-BR",
        url="https://example.org/p/1?a=b#c",
        thread=[{"id": "t0", "text": "before", "position": "before"}],
        messages=[{"role": "system", "text": "Be kind."}],
    )
    decide(EDITED, person)
    another_prediction(first)
    undo_last(reviewer=person)
    decide(EDITED, person)
    open_appeal(item=first, reason="It is wrong", opened_by=lead, appellant="user 7")
    decide(Decision(kind=ReviewKind.ACCEPTED, prompt_label=Harmfulness.HARMFUL))
    open_appeal(item=first, reason="Once more")
    version = active_policy_version()
    categories = categories_of(version)
    publish_version(
        policy=version.policy, text="New text", categories=categories[:5], change="Fewer", by=lead, based_on=1
    )
    row = {
        "external_id": "reported",
        "source": "forum",
        "prompt": "Hello there",
        "author": {"id": "u1", "name": "Ann", "strikes": 2, "created_at": "2024-01-31T12:00:00Z"},
        "reports": [{"reporter": "r1", "reason": {"text": "spam"}}, {"reporter": "r2"}],
    }
    ingest_items(rows=[read_row(row)])
    Item.objects.filter(external_id="reported").update(status=ItemStatus.READY)
    Item.objects.exclude(external_id="reported").filter(status=ItemStatus.READY).update(free_slots=0)
    decide()
    Item.objects.filter(pk=first.pk).update(free_slots=1)
    same = [make_item() for _ in range(3)]
    decide_many(by=lead, items=same, prompt_label=Harmfulness.UNHARMFUL, note="a wave", idempotency_key=key())
    make_hidden_gold(item=Item.objects.get(pk=same[0].pk), by=lead, note="clear")
    withdraw_item(item_id=same[1].pk, by=lead, reason="deleted")


def exported() -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in lines().splitlines()]


def lines() -> bytes:
    return b"".join(export_lines(request=ExportRequest(ExportFormat.CANONICAL)))


def differences(one: Any, other: Any, at: str = "") -> list[str]:
    """Where two JSON values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = sorted(one.keys() | other.keys())
        return [line for name in names for line in differences(one.get(name), other.get(name), f"{at}/{name}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [line for n, pair in enumerate(zip(one, other, strict=True)) for line in differences(*pair, f"{at}/{n}")]
    return [] if one == other and type(one) is type(other) else [f"{at}: {one!r} != {other!r}"]


def wipe() -> None:
    """A fresh installation: everything goes, and what a first start makes is made anew."""
    for model in reversed(list(apps.get_app_config("annotation").get_models(include_auto_created=True))):
        model._default_manager.all()._raw_delete("default")
    default_queue(), default_policy(), production()


LOCAL_IN_DETAIL = ("review", "appeal", "bulk")


def without_local_ids(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With every id of this installation replaced by its place among the record's ids of that kind: nothing else."""
    for record in records:
        places: dict[tuple[str, int], int] = {}

        def place(kind: str, number: Any, places: dict[tuple[str, int], int] = places) -> Any:
            return number if number is None else places.setdefault((kind, number), len(places))

        record["item"]["id"] = place("item", record["item"]["id"])
        history = record["history"]
        for review in (*record["review"], *history["review"]):
            for name, kind in (("id", "review"), ("upholds", "review"), ("bulk", "bulk")):
                review[name] = place(kind, review[name])
        for gold in (record["final"], *history["gold"]):
            gold["id"], gold["review"] = place("gold", gold["id"]), place("review", gold["review"])
        for appeal in history["appeals"]:
            appeal["id"] = place("appeal", appeal["id"])
            appeal["gold"], appeal["outcome"] = place("gold", appeal["gold"]), place("gold", appeal["outcome"])
        for event in record["events"]:
            for name in LOCAL_IN_DETAIL:
                if isinstance(event["detail"].get(name), int):
                    event["detail"][name] = place(name, event["detail"][name])
    return records


def imported(path: Path, **options: Any) -> ImportReport:
    return import_canonical(path=path, **options)
