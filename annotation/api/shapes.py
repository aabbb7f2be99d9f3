"""The shapes of the API: what a review looks like coming in, and all others for the OpenAPI document.

Rows of items are read by annotation.ingest, which is stricter and many times faster; their serializers here only
document.
"""

from typing import Any

import orjson
from rest_framework import serializers

from annotation.ingest.values import MAX_BATCH, RowStatus
from annotation.review.decision import Decision, StepReview
from annotation.review.step_links import Link
from annotation.status import (
    AppealState,
    AssignmentState,
    ErrorKind,
    GoldSource,
    ItemStatus,
    Lane,
    ReviewKind,
    ReviewMode,
    StepMark,
    TargetSource,
)
from annotation.web.openapi import FieldErrorShape
from guardapp.guard.taxonomy import Harmfulness, MediaKind, Modality

LABELS = [label.value for label in Harmfulness]


class StepInput(serializers.Serializer[StepReview]):
    text = serializers.CharField(
        allow_null=True, default=None, trim_whitespace=False, help_text="the guard's; null for one you add"
    )
    mark = serializers.ChoiceField(choices=StepMark.choices, allow_null=True, default=None)
    edit = serializers.CharField(
        allow_null=True, default=None, allow_blank=True, trim_whitespace=False, help_text="what it should say"
    )
    links = serializers.ListField(
        child=serializers.DictField(),
        default=list,
        max_length=20,
        help_text=(
            'what the step rests on: {"kind": "frame", "medium", "index"}, {"kind": "region", "medium", "index", '
            '"x", "y", "w", "h"} in '
            'percent or {"kind": "span", "field": "prompt" or "response", "start", "end"} in characters'
        ),
    )


class ReviewInput(serializers.Serializer[Decision]):
    """A reviewer's decision. `response_label` is given exactly where the item has a response."""

    kind = serializers.ChoiceField(choices=ReviewKind.choices)
    prompt_label = serializers.ChoiceField(choices=LABELS)
    response_label = serializers.ChoiceField(choices=LABELS, allow_null=True, default=None)
    categories = serializers.ListField(child=serializers.CharField(max_length=16), default=list, max_length=50)
    severity = serializers.IntegerField(allow_null=True, default=None, min_value=0, max_value=3)
    confidence = serializers.IntegerField(allow_null=True, default=None, min_value=1, max_value=3)
    note = serializers.CharField(allow_blank=True, default="", max_length=10_000)
    reason = serializers.CharField(
        allow_blank=True, default="", max_length=300, help_text="why this verdict, in a few words"
    )
    error_kinds = serializers.ListField(
        child=serializers.ChoiceField(choices=ErrorKind.choices),
        default=list,
        max_length=20,
        help_text="what was wrong with the guard's judgement",
    )
    steps = StepInput(many=True, default=list)

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, dict) else []
        if unknown:
            known = ", ".join(self.fields)
            raise serializers.ValidationError(dict.fromkeys(unknown, f"is not a known field. Known here: {known}"))
        return super().to_internal_value(data)

    def to_decision(self) -> Decision:
        given = self.validated_data
        return Decision(
            kind=ReviewKind(given["kind"]),
            prompt_label=Harmfulness(given["prompt_label"]),
            response_label=Harmfulness(given["response_label"]) if given["response_label"] else None,
            categories=tuple(given["categories"]),
            severity=given["severity"],
            confidence=given["confidence"],
            note=given["note"],
            reason=given["reason"],
            error_kinds=tuple(ErrorKind(kind) for kind in given["error_kinds"]),
            steps=tuple(
                StepReview(
                    step["text"],
                    StepMark(step["mark"]) if step["mark"] else None,
                    step["edit"],
                    tuple(Link.of(link) for link in step["links"]),
                )
                for step in given["steps"]
            ),
        )


class RevealInput(serializers.Serializer[Any]):
    """Your own verdict, before you see the guard's. `response_label` is given exactly where the item has a response."""

    prompt_label = serializers.ChoiceField(choices=LABELS)
    response_label = serializers.ChoiceField(choices=LABELS, allow_null=True, default=None)


class EscalationInput(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2_000)


class AppealInput(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=5_000, help_text="why the verdict should be looked at again")
    appellant = serializers.CharField(
        max_length=200, allow_blank=True, default="", help_text="who objects, as the platform names them"
    )


class AppealShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    item = serializers.IntegerField()
    state = serializers.ChoiceField(choices=AppealState.choices)
    opened_at = serializers.DateTimeField()


class DraftInput(serializers.Serializer[Any]):
    payload = serializers.DictField(help_text="the unfinished review, as the client wants it back")

    def validate_payload(self, payload: dict[str, Any]) -> dict[str, Any]:
        if b"\\u0000" in orjson.dumps(payload):
            raise serializers.ValidationError("holds a NUL character (U+0000). Remove it: it cannot be stored as text.")
        return payload


# From here on: documentation only


class SharedFields(serializers.Serializer[Any]):
    source = serializers.CharField(
        max_length=100, required=False, help_text="where it comes from; ids are unique within a source"
    )  # type: ignore[assignment]
    metadata = serializers.DictField(required=False)
    reason = serializers.DictField(required=False, help_text="why it was flagged, e.g. {policy_id, text}")
    reported_at = serializers.DateTimeField(required=False)
    language = serializers.CharField(
        max_length=16, required=False, help_text="BCP 47; metadata.language counts where this is missing"
    )


class MediaFields(serializers.Serializer[Any]):
    media = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="names of uploaded files, or data: URLs"
    )
    modality = serializers.ChoiceField(
        choices=[one.value for one in Modality], required=False, help_text="checked against the content"
    )


class OwnRow(SharedFields, MediaFields):
    external_id = serializers.CharField(max_length=200)
    prompt = serializers.CharField(required=False, allow_blank=True)
    response = serializers.CharField(required=False, allow_null=True)


class CoopData(serializers.Serializer[Any]):
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
    request = serializers.CharField()
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
    """Rows may have different shapes. A plain list is taken as well."""

    items = serializers.ListField(child=OwnRow(), max_length=MAX_BATCH)


class RowResultShape(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    status = serializers.ChoiceField(choices=[one.value for one in RowStatus])
    id = serializers.IntegerField(allow_null=True)
    external_id = serializers.CharField()
    errors = FieldErrorShape(many=True)  # type: ignore[assignment]


class IngestResult(serializers.Serializer[Any]):
    created = serializers.IntegerField()
    exists = serializers.IntegerField()
    conflict = serializers.IntegerField()
    rejected = serializers.IntegerField()
    results = RowResultShape(many=True)


class MediumShape(serializers.Serializer[Any]):
    sha256 = serializers.CharField()
    kind = serializers.ChoiceField(choices=[one.value for one in MediaKind])
    mime = serializers.CharField()
    size = serializers.IntegerField()


class ContentShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    source = serializers.CharField()  # type: ignore[assignment]
    external_id = serializers.CharField()
    modality = serializers.ChoiceField(choices=[one.value for one in Modality])
    prompt = serializers.CharField()
    response = serializers.CharField(allow_null=True)
    reason = serializers.DictField()
    reported_at = serializers.DateTimeField(allow_null=True)
    language = serializers.CharField(help_text="BCP 47; empty where nobody named it")
    media = MediumShape(many=True)


class PredictionShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    version = serializers.CharField()
    parsed = serializers.BooleanField()
    steps = serializers.ListField(child=serializers.CharField())
    prompt_label = serializers.ChoiceField(choices=LABELS, allow_null=True)
    response_label = serializers.ChoiceField(choices=LABELS, allow_null=True)
    categories = serializers.ListField(child=serializers.CharField())
    prompt_score = serializers.FloatField(allow_null=True)
    response_score = serializers.FloatField(allow_null=True)
    disagreement = serializers.FloatField()
    completion = serializers.CharField()
    created_at = serializers.DateTimeField()


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
    metadata = serializers.DictField()
    created_at = serializers.DateTimeField()
    error = ItemErrorShape(allow_null=True)
    prediction = PredictionShape(allow_null=True)
    reviews = ReviewShape(many=True)
    gold = GoldShape(allow_null=True)


class AssignmentShape(serializers.Serializer[Any]):
    token = serializers.UUIDField()
    expires_at = serializers.DateTimeField()
    queue = serializers.CharField()
    mode = serializers.ChoiceField(choices=ReviewMode.choices)
    item = ContentShape()
    prediction = PredictionShape(allow_null=True, help_text="null where the queue hides it before the decision")
    draft = serializers.DictField(allow_null=True)


class LeaseShape(serializers.Serializer[Any]):
    token = serializers.UUIDField()
    expires_at = serializers.DateTimeField()


class EndedShape(serializers.Serializer[Any]):
    token = serializers.UUIDField()
    state = serializers.ChoiceField(choices=AssignmentState.choices)


class SubmittedShape(serializers.Serializer[Any]):
    id = serializers.IntegerField(help_text="of the review")
    item = serializers.IntegerField()


class DraftSavedShape(serializers.Serializer[Any]):
    saved_at = serializers.DateTimeField()


class TallyShape(serializers.Serializer[Any]):
    rows = serializers.IntegerField()
    dropped = serializers.DictField(child=serializers.IntegerField(), help_text="count by reason")
