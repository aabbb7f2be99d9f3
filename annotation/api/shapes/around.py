"""Serializers of the facts about an item: author, thread, reports and the others, for the OpenAPI document."""

from collections.abc import Iterable
from typing import Any

from rest_framework import serializers

from annotation.ingest.language_codes import LONGEST
from annotation.ingest.read_context import POSITIONS
from annotation.ingest.values import ABOUT, MAX_PERSON, MAX_TEXT_CHARACTERS, MAX_URL


class AuthorShape(serializers.Serializer[Any]):
    """Who posted an item, as the platform names them."""

    id = serializers.CharField(max_length=MAX_PERSON)
    name = serializers.CharField(max_length=MAX_PERSON, required=False, allow_blank=True)
    url = serializers.CharField(max_length=MAX_URL, required=False, allow_blank=True, help_text="http or https")
    created_at = serializers.DateTimeField(required=False, allow_null=True, help_text="of the account")
    strikes = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, help_text="how often the platform warned them"
    )


class ThreadMessageShape(serializers.Serializer[Any]):
    """A message that stands around an item: before it, after it, or the one that it answers."""

    id = serializers.CharField(max_length=MAX_PERSON, required=False)
    author = serializers.JSONField(required=False, help_text="a name, or {id, name}")
    text = serializers.CharField(required=False)
    media = serializers.ListField(
        child=serializers.CharField(max_length=MAX_URL),
        required=False,
        help_text="http or https addresses; shown as links and never fetched",
    )
    at = serializers.DateTimeField(required=False)
    position = serializers.ChoiceField(choices=list(POSITIONS), required=False, help_text="before, where none is given")


class ReportShape(serializers.Serializer[Any]):
    """Somebody's notice of an item: at least one of the fields."""

    reporter = serializers.CharField(max_length=MAX_PERSON, required=False, allow_blank=True)
    reason = serializers.DictField(required=False, help_text="{policy_id, text} or whatever you know; or a text")
    reported_at = serializers.DateTimeField(required=False, allow_null=True)


class ReportBatch(serializers.Serializer[Any]):
    reports = ReportShape(many=True)


class ReportedShape(serializers.Serializer[Any]):
    item = serializers.IntegerField()
    reports_added = serializers.IntegerField(help_text="the same report again adds none")
    report_count = serializers.IntegerField(help_text="how many the item has now")
    reopened = serializers.BooleanField(help_text="whether these reports reopened a decided item")


def said_of_items(names: Iterable[str], *, coming_in: bool = False) -> dict[str, Any]:
    """Fields with facts about an item: all optional in requests, all present in responses."""
    kinds: dict[str, tuple[type[serializers.Field[Any, Any, Any, Any]], dict[str, Any]]] = {
        "address": (serializers.CharField, {"max_length": MAX_URL, "allow_blank": True}),
        "author": (AuthorShape, {"allow_null": True}),
        "thread": (ThreadMessageShape, {"many": True}),
        "reports": (ReportShape, {"many": True}),
        "mapping": (serializers.DictField, {}),
        "moment": (serializers.DateTimeField, {} if coming_in else {"allow_null": True}),
        "language": (serializers.CharField, {"max_length": LONGEST}),
        "text": (serializers.CharField, {"max_length": MAX_TEXT_CHARACTERS}),
    }
    made = {}
    for name in names:
        kind, options = kinds[ABOUT[name].reads]
        made[name] = kind(required=not coming_in, help_text=ABOUT[name].words or None, **options)
    return made
