"""Serializers of incoming rows and of items with their predictions, reviews and gold, for the OpenAPI document.

They do not parse: rows are read by annotation.ingest, which is stricter and many times faster.
"""

from typing import Any

from rest_framework import serializers

from annotation.api.shapes.around import said_of_items
from annotation.api.shapes.predictions import LABELS, PredictionShape
from annotation.ingest.read_messages import MAX_MESSAGES, MAX_NAME, ROLES
from annotation.ingest.values import (
    ABOUT,
    ABOUT_FOR_REVIEWERS,
    MAX_BATCH,
    RowStatus,
)
from annotation.items.withdraw import MAX_REASON_CHARACTERS
from annotation.status import GoldSource, ItemStatus, Lane, ReviewKind, ReviewMode, TargetSource
from annotation.web.openapi import FieldErrorShape
from guardapp.guard.taxonomy import MediaKind, Modality


class SharedFields(serializers.Serializer[Any]):
    source = serializers.CharField(
        max_length=100, required=False, help_text="where it comes from; ids are unique within a source"
    )  # type: ignore[assignment]

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), **said_of_items(ABOUT, coming_in=True)}


class MessageShape(serializers.Serializer[Any]):
    """A message in OpenAI's shape. `developer` counts as system, `function` as tool."""

    role = serializers.ChoiceField(choices=list(ROLES))
    content = serializers.JSONField(
        help_text="text, or a list of parts: {type: text, text}, {type: image_url, image_url: {url}}, "
        "{type: video_url, video_url: {url}}; a url is the name of an uploaded file, or a data: URL"
    )
    name = serializers.CharField(required=False, max_length=MAX_NAME)
    tool_calls = serializers.ListField(child=serializers.DictField(), required=False)


def messages_field() -> serializers.ListField:
    return serializers.ListField(
        child=MessageShape(),
        required=False,
        max_length=MAX_MESSAGES,
        help_text="in place of prompt, response and media: the last user message and the assistant's answer to it are "
        "judged, the others are context",
    )


class MediaFields(serializers.Serializer[Any]):
    messages = messages_field()
    media = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="names of uploaded files, or data: URLs"
    )
    modality = serializers.ChoiceField(
        choices=[one.value for one in Modality], required=False, help_text="checked against the content"
    )


class OwnRow(SharedFields, MediaFields):
    external_id = serializers.CharField(max_length=200, help_text="made of the content where messages come without it")
    prompt = serializers.CharField(required=False, allow_blank=True)
    response = serializers.CharField(required=False, allow_null=True)


class CoopData(serializers.Serializer[Any]):
    messages = messages_field()
    text = serializers.CharField(required=False)
    image_url = serializers.CharField(required=False, help_text="name of an uploaded file, or a data: URL")
    video_url = serializers.CharField(required=False, help_text="name of an uploaded file, or a data: URL")


class CoopRow(SharedFields):
    external_id = serializers.CharField(max_length=200)
    type = serializers.CharField(required=False)
    data = CoopData()  # type: ignore[assignment]
    context = serializers.ListField(required=False)  # type: ignore[assignment]


class ChatRow(SharedFields, MediaFields):
    external_id = serializers.CharField(
        max_length=200, required=False, help_text="made of the content where it is missing"
    )
    request = serializers.CharField(required=False)
    response = serializers.CharField(required=False, allow_null=True)


class DatasetRow(MediaFields):
    id = serializers.CharField(max_length=200, help_text="dataset/number")
    source = serializers.CharField(required=False, help_text="provenance in words")  # type: ignore[assignment]
    prompt = serializers.CharField(required=False, allow_blank=True)
    response = serializers.CharField(required=False, allow_null=True)
    split = serializers.CharField(required=False)
    license = serializers.CharField(required=False)
    prompt_label = serializers.CharField(required=False, allow_null=True)
    response_label = serializers.CharField(required=False, allow_null=True)
    refusal_label = serializers.CharField(required=False, allow_null=True)
    categories = serializers.ListField(child=serializers.CharField(), required=False)


class RowBatch(serializers.Serializer[Any]):
    """Rows may have different formats. A plain list is accepted as well."""

    items = serializers.ListField(child=OwnRow(), max_length=MAX_BATCH)


class RowResultShape(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    status = serializers.ChoiceField(choices=[one.value for one in RowStatus])
    id = serializers.IntegerField(allow_null=True)
    external_id = serializers.CharField()
    withdrawn = serializers.BooleanField(required=False, help_text="true: exists, and stays withdrawn")
    errors = FieldErrorShape(many=True)  # type: ignore[assignment]
    reports_added = serializers.IntegerField(help_text="to an item that existed; the same report counts once")
    reopened = serializers.BooleanField(help_text="whether these reports reopened a decided item")


class IngestResult(serializers.Serializer[Any]):
    created = serializers.IntegerField()
    exists = serializers.IntegerField()
    conflict = serializers.IntegerField()
    rejected = serializers.IntegerField()
    reports_added = serializers.IntegerField(help_text="to items that existed, by all rows")
    results = RowResultShape(many=True)


class MediumShape(serializers.Serializer[Any]):
    sha256 = serializers.CharField()
    kind = serializers.ChoiceField(choices=[one.value for one in MediaKind])
    mime = serializers.CharField()
    size = serializers.IntegerField()


class EarlierMessageShape(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=sorted(set(ROLES.values())))
    text = serializers.CharField()
    name = serializers.CharField(required=False)
    media = serializers.ListField(
        child=serializers.IntegerField(), required=False, help_text="positions in the item's media, from 0"
    )


class ContentShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    source = serializers.CharField()  # type: ignore[assignment]
    external_id = serializers.CharField()
    modality = serializers.ChoiceField(choices=[one.value for one in Modality])
    prompt = serializers.CharField()
    response = serializers.CharField(allow_null=True)
    media = MediumShape(many=True)
    messages = EarlierMessageShape(many=True, help_text="what came before prompt and response")

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), **said_of_items(ABOUT_FOR_REVIEWERS)}


class ReviewShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    reviewer_pseudonym = serializers.CharField()
    kind = serializers.ChoiceField(choices=ReviewKind.choices)
    prompt_label = serializers.ChoiceField(choices=LABELS, allow_null=True)
    response_label = serializers.ChoiceField(choices=LABELS, allow_null=True)
    categories = serializers.ListField(child=serializers.CharField())
    severity = serializers.IntegerField(allow_null=True)
    confidence = serializers.IntegerField(allow_null=True)
    mode = serializers.ChoiceField(choices=ReviewMode.choices)
    created_at = serializers.DateTimeField()


class GoldShape(serializers.Serializer[Any]):
    prompt_label = serializers.ChoiceField(choices=LABELS, allow_null=True)
    response_label = serializers.ChoiceField(choices=LABELS, allow_null=True)
    categories = serializers.ListField(child=serializers.CharField())
    source = serializers.ChoiceField(choices=GoldSource.choices)  # type: ignore[assignment]
    target_steps = serializers.ListField(child=serializers.CharField())
    target_source = serializers.ChoiceField(choices=TargetSource.choices)
    created_at = serializers.DateTimeField()
    hard = serializers.ListField(child=serializers.CharField(), allow_null=True)


WITHDRAWAL_RESULTS = ("withdrawn", "already", "unknown")


class WithdrawalInput(serializers.Serializer[Any]):
    reason = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=MAX_REASON_CHARACTERS, help_text="why, for the record"
    )


class IdentityInput(serializers.Serializer[Any]):
    source = serializers.CharField(max_length=100, required=False)  # type: ignore[assignment]
    external_id = serializers.CharField(max_length=200, trim_whitespace=False)


class WithdrawalsInput(WithdrawalInput):
    items = IdentityInput(many=True, allow_empty=False, max_length=MAX_BATCH)  # type: ignore[call-arg]


class WithdrawnShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    source = serializers.CharField()  # type: ignore[assignment]
    external_id = serializers.CharField()
    status = serializers.ChoiceField(choices=ItemStatus.choices)
    withdrawn_at = serializers.DateTimeField()
    reason = serializers.CharField(help_text="of the first withdrawal")


class WithdrawalResultShape(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    source = serializers.CharField()  # type: ignore[assignment]
    external_id = serializers.CharField()
    id = serializers.IntegerField(allow_null=True)
    result = serializers.ChoiceField(choices=WITHDRAWAL_RESULTS)


class WithdrawalsShape(serializers.Serializer[Any]):
    withdrawn = serializers.IntegerField()
    already = serializers.IntegerField()
    unknown = serializers.IntegerField()
    results = WithdrawalResultShape(many=True)


class ItemErrorShape(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()


class ItemSummary(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    source = serializers.CharField()  # type: ignore[assignment]
    external_id = serializers.CharField()
    modality = serializers.ChoiceField(choices=[one.value for one in Modality])
    language = serializers.CharField(help_text="BCP 47; empty where nobody named it")
    status = serializers.ChoiceField(choices=ItemStatus.choices)
    queue = serializers.CharField()
    lane = serializers.ChoiceField(choices=Lane.choices)
    priority = serializers.FloatField()
    created_at = serializers.DateTimeField()


class ItemPage(serializers.Serializer[Any]):
    items = ItemSummary(many=True)
    next = serializers.CharField(allow_null=True, help_text="cursor of the next page")


class ItemShape(ContentShape):
    status = serializers.ChoiceField(choices=ItemStatus.choices)
    queue = serializers.CharField()
    lane = serializers.ChoiceField(choices=Lane.choices)
    priority = serializers.FloatField()
    created_at = serializers.DateTimeField()
    withdrawn_at = serializers.DateTimeField(allow_null=True, help_text="when its sender took it back")
    report_count = serializers.IntegerField(help_text="of all reports; `reports` has the first 1,000")
    error = ItemErrorShape(allow_null=True)
    prediction = PredictionShape(allow_null=True)
    reviews = ReviewShape(many=True)
    gold = GoldShape(allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), **said_of_items(ABOUT)}
