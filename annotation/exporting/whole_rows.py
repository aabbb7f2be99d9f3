"""The rest of a whole record: an item's events, what was taken back or replaced, and what an export's rows refer to.

The database writes the JSON: reading a row for each event would take longer than the rest of an export.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from orjson import Fragment

from annotation.exporting.values import ExportedReview, History
from annotation.models import (
    Appeal,
    Author,
    GoldLabel,
    HiddenGold,
    ModelVersion,
    Policy,
    Prediction,
    Report,
    ReviewQueue,
)

FIGURES = (
    "disagreement",
    "prompt_score",
    "response_score",
    "prompt_marginal",
    "response_marginal",
    "prompt_harm",
    "response_harm",
    "tokens",
    "latency_ms",
)
OF_A_REPORT = ("reporter", "reason", "reported_at", "created_at")
IN_UTC = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


def kinds_of_history() -> frozenset[str]:
    """Which rare rows there are at all, so that an export does not look for them at each item."""
    found = {name for name, rows in _RARE.items() if rows().exists()}
    several = ModelVersion.objects.filter(Exists(Prediction.objects.filter(version=OuterRef("pk"))))[:2]
    return frozenset(found | ({"predictions"} if len(several) > 1 else set()))


def history_of(
    item_ids: Sequence[int], kinds: frozenset[str], taken_back: Mapping[int, list[ExportedReview]]
) -> dict[int, History]:
    """The history of those items that have one, by id. `kinds` is the result of `kinds_of_history`."""
    history: defaultdict[int, History] = defaultdict(History)
    for pk, reviews in taken_back.items():
        history[pk].taken_back = reviews
    for name in kinds:
        rows: dict[int, list[dict[str, Any]]] = {}
        for row in _READ[name](item_ids):
            rows.setdefault(row.pop("item_id"), []).append(row)
        for pk, found in rows.items():
            setattr(history[pk], name, _json(found[0] if name == "hidden_gold" else found))
    return history


def authors_of(ids: Collection[int]) -> dict[int, str]:
    """The authors as JSON, by id."""
    rows = Author.objects.filter(pk__in=ids) if ids else ()
    return {
        row.pk: _json(
            {
                "id": row.external_id,
                "name": row.name,
                "url": row.url,
                "created_at": row.created_at,
                "strikes": row.strikes,
            }
        )
        for row in rows
    }


def reports_of(item_ids: Sequence[int]) -> dict[int, str]:
    """The reports of these items as JSON, by item id."""
    found: dict[int, list[dict[str, Any]]] = {}
    rows = Report.objects.filter(item_id__in=item_ids).order_by("pk") if item_ids else Report.objects.none()
    for item_id, *values in rows.values_list("item_id", *OF_A_REPORT):
        found.setdefault(item_id, []).append(dict(zip(OF_A_REPORT, values, strict=True)))
    return {pk: _json(given) for pk, given in found.items()}


def definitions() -> str:
    """The policies, queues and versions that rows name, as JSON."""
    policies = Policy.objects.prefetch_related("versions__categories", "versions__created_by").order_by("pk")
    return _json(
        {
            "policies": [
                {
                    "slug": policy.slug,
                    "name": policy.name,
                    "versions": [
                        {
                            "number": version.number,
                            "text": version.text,
                            "change": version.change,
                            "created_at": version.created_at,
                            "created_by": version.created_by.pseudonym if version.created_by else None,
                            "categories": [
                                {"code": one.code, "name": one.name, "guidance": one.guidance}
                                for one in version.categories.all()
                            ],
                        }
                        for version in sorted(policy.versions.all(), key=lambda version: version.number)
                    ],
                }
                for policy in policies
            ],
            "queues": list(ReviewQueue.objects.order_by("pk").values("slug", "name")),
            "versions": list(ModelVersion.objects.order_by("pk").values("name", "description")),
        }
    )


def _gold_not_standing() -> QuerySet[GoldLabel]:
    return GoldLabel.objects.filter(Q(withdrawn_at__isnull=False) | Q(superseded_at__isnull=False))


_RARE: Mapping[str, Callable[[], QuerySet[Any]]] = {
    "gold": _gold_not_standing,
    "appeals": Appeal.objects.all,
    "hidden_gold": HiddenGold.objects.all,
}


def _gold_of(item_ids: Sequence[int]) -> Iterable[dict[str, Any]]:
    rows = _gold_not_standing().filter(item_id__in=item_ids).order_by("pk").select_related("policy_version__policy")
    for gold in rows.select_related("prediction__version", "hard_sample"):
        yield {
            "item_id": gold.item_id,
            "id": gold.pk,
            "review": gold.review_id,
            "version": gold.prediction.version.name if gold.prediction else None,
            "verdict": _verdict(gold.prompt_label, gold.response_label, gold.categories),
            "source": gold.source,
            "policy_id": gold.policy_version.policy.slug,
            "policy_version": gold.policy_version.number,
            "target": {"steps": gold.target_steps, "source": gold.target_source},
            "hard": gold.hard_sample.errors if hasattr(gold, "hard_sample") else None,
            "at": gold.created_at,
            "settled_at": gold.settled_at,
            "stale_at": gold.stale_at,
            "withdrawn_at": gold.withdrawn_at,
            "superseded_at": gold.superseded_at,
        }


def _predictions_of(item_ids: Sequence[int]) -> Iterable[dict[str, Any]]:
    """The predictions other than the one that the standing gold judges, which is in the record already."""
    in_the_record = GoldLabel.objects.standing().filter(prediction=OuterRef("pk"))
    rows = Prediction.objects.filter(~Exists(in_the_record), item_id__in=item_ids).order_by("pk")
    for one in rows.select_related("version", "policy_version__policy"):
        yield {
            "item_id": one.item_id,
            "version": one.version.name,
            "output_raw": one.completion,
            "steps": one.steps,
            "verdict": _verdict(one.prompt_label, one.response_label, one.categories) if one.parsed else None,
            "rollouts": [rollout_of(rollout) for rollout in one.rollouts],
            **{name: getattr(one, name) for name in FIGURES},
            "windows": one.windows,
            "policy_id": one.policy_version.policy.slug if one.policy_version else None,
            "policy_version": one.policy_version.number if one.policy_version else None,
            "media_seen": one.media_seen,
            "shadow": one.shadow,
            "at": one.created_at,
        }


def _appeals_of(item_ids: Sequence[int]) -> Iterable[dict[str, Any]]:
    names = ("item_id", "id", "gold_id", "outcome_id", "state", "reason", "appellant", "opened_at", "closed_at")
    rows = Appeal.objects.filter(item_id__in=item_ids).order_by("pk")
    for row in rows.values(*names, by=F("opened_by__pseudonym")):
        refers = {"gold": row.pop("gold_id"), "outcome": row.pop("outcome_id"), "opened_by": row.pop("by")}
        yield row | refers


def _hidden_gold_of(item_ids: Sequence[int]) -> Iterable[dict[str, Any]]:
    names = ("item_id", "prompt_label", "response_label", "categories", "note", "active", "created_at")
    for row in HiddenGold.objects.filter(item_id__in=item_ids).values(*names, by=F("added_by__pseudonym")):
        added_by = row.pop("by")
        yield row | {"added_by": added_by}


_READ: Mapping[str, Callable[[Sequence[int]], Iterable[dict[str, Any]]]] = {
    "gold": _gold_of,
    "predictions": _predictions_of,
    "appeals": _appeals_of,
    "hidden_gold": _hidden_gold_of,
}


def rollout_of(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A sampled completion as records have it."""
    parsed = stored["parsed"]
    made: dict[str, Any] = {
        "text": stored["completion"],
        "verdict": _labels(stored["prompt_label"], stored["response_label"]) if parsed else None,
        "parsed": parsed,
    }
    if "tokens" in stored:
        made["tokens"] = stored["tokens"]
    if "prompt_score" in stored:
        made["prompt_score"] = stored["prompt_score"]
    if "response_score" in stored:
        made["response_score"] = stored["response_score"]
    return made


@lru_cache(maxsize=16)
def _labels(prompt: str | None, response: str | None) -> Fragment:
    return Fragment(orjson.dumps({"prompt": prompt, "response": response}))


def _verdict(prompt: str | None, response: str | None, categories: Sequence[str]) -> dict[str, Any]:
    return {"prompt": prompt, "response": response, "categories": categories}


def _json(value: object) -> str:
    return orjson.dumps(value, option=IN_UTC).decode()


def events_of(item_ids: Sequence[int]) -> Iterable[tuple[int, str]]:
    with connection.cursor() as cursor:
        cursor.execute(_events_sql(connection.vendor, len(item_ids)), item_ids)
        return list(cursor.fetchall())


@lru_cache(maxsize=4)
def _events_sql(vendor: str, items: int) -> str:
    """Return the SQL for one row an item: its id, and its events in order, as JSON objects with commas between."""
    places = ", ".join(["%s"] * items)
    if vendor == "postgresql":
        at = "replace(to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), '.000000Z', 'Z')"
        return (
            "SELECT e.item_id, string_agg("  # noqa: S608  (constants)
            f'\'{{"at":"\' || {at} || \'","kind":"\' || e.kind || \'","actor":\' || '
            "coalesce('\"' || u.pseudonym || '\"', 'null') || ',\"detail\":' || e.detail::text || '}', ',' "
            "ORDER BY e.id) "
            "FROM annotation_event e LEFT JOIN annotation_user u ON u.id = e.actor_id "
            f"WHERE e.item_id IN ({places}) GROUP BY e.item_id"
        )
    # the index of the WHERE clause gives an item's events in their order
    return (
        'SELECT e.item_id, group_concat(printf(\'{"at":"%%sZ","kind":"%%s","actor":%%s,"detail":%%s}\', '  # noqa: S608
        """replace(e.at, ' ', 'T'), e.kind, coalesce('"' || u.pseudonym || '"', 'null'), e.detail), ',') """
        "FROM annotation_event e INDEXED BY event_of_item LEFT JOIN annotation_user u ON u.id = e.actor_id "
        f"WHERE e.item_id IN ({places}) GROUP BY e.item_id"
    )


@lru_cache(maxsize=10_000)
def version_of(prediction_id: int) -> str:
    """The version of a prediction other than the one that its item's gold judges."""
    return Prediction.objects.values_list("version__name", flat=True).get(pk=prediction_id)
