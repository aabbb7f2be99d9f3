"""Serializers of assignments, decisions and appeals: they validate requests and document responses."""

from typing import Any

import orjson
from rest_framework import serializers

from annotation.api.shapes.items import ContentShape
from annotation.api.shapes.predictions import LABELS, PredictionShape
from annotation.database.storable import why_not_json
from annotation.ingest.read_fields import MOST_UNKNOWN
from annotation.review.decision import Decision, StepReview
from annotation.status import AppealState, AssignmentState, Demand, ErrorKind, ReviewKind, ReviewMode, StepMark
from guardapp.guard.taxonomy import Harmfulness

MOST_STEPS = 1_000
MOST_DRAFT_BYTES = 1 << 20


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
    """A reviewer's decision. `response_label` is required if the item has a response, and null otherwise."""

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
    steps = StepInput(many=True, default=list, max_length=MOST_STEPS)  # type: ignore[call-arg]  # of the list

    def to_internal_value(self, data: Any) -> Any:
        unknown = [name for name in data if name not in self.fields] if isinstance(data, dict) else []
        if unknown:
            why = f"is not a known field. Known here: {', '.join(self.fields)}"
            raise serializers.ValidationError({name[:100]: why for name in unknown[:MOST_UNKNOWN]})
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
            steps=tuple(StepReview.of(step) for step in given["steps"]),
        )


class RevealInput(serializers.Serializer[Any]):
    """Your own verdict, before you see the guard's.

    `response_label` is required if the item has a response, and must be null otherwise.
    """

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
        if found := why_not_json(payload):
            raise serializers.ValidationError(f"{found.pointer} {found.detail}".strip())
        if (size := len(orjson.dumps(payload))) > MOST_DRAFT_BYTES:
            raise serializers.ValidationError(f"is {size:,} bytes of JSON, the limit is {MOST_DRAFT_BYTES:,}.")
        return payload


class AssignmentShape(serializers.Serializer[Any]):
    token = serializers.UUIDField()
    expires_at = serializers.DateTimeField()
    queue = serializers.CharField()
    mode = serializers.ChoiceField(choices=ReviewMode.choices)
    demands = serializers.ListField(
        child=serializers.ChoiceField(choices=Demand.choices), help_text="what a harmful verdict needs in this queue"
    )
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
