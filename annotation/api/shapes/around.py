"""Serializers of what stands around an item: author, thread and reports, for the OpenAPI document."""

from typing import Any

from rest_framework import serializers

from annotation.ingest.read_context import POSITIONS
from annotation.ingest.values import MAX_PERSON, MAX_URL


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
