"""Request and response shapes of training's API: snapshots and promotions."""

from typing import Any

from rest_framework import serializers

from training.models import DatasetSnapshot, Promotion
from training.snapshots.create import SnapshotFilters
from training.status import PromotionKind

Json = dict[str, Any]


class SnapshotInput(serializers.Serializer[Any]):
    name = serializers.CharField(
        max_length=100, default="", allow_blank=True, help_text="numbered automatically if empty"
    )
    sources = serializers.ListField(
        child=serializers.CharField(max_length=100), default=list, help_text="only items from these"
    )
    queues = serializers.ListField(child=serializers.SlugField(), default=list, help_text="only items of these queues")
    modalities = serializers.ListField(child=serializers.CharField(max_length=16), default=list)
    hard_only = serializers.BooleanField(default=False, help_text="only gold that contradicts the guard")

    def to_filters(self) -> SnapshotFilters:
        given = self.validated_data
        return SnapshotFilters(
            sources=tuple(given["sources"]),
            queues=tuple(given["queues"]),
            modalities=tuple(given["modalities"]),
            hard_only=given["hard_only"],
        )


class ReasonInput(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2_000)


class PromoteInput(ReasonInput):
    override = serializers.CharField(
        max_length=2_000,
        default="",
        allow_blank=True,
        help_text="admins only: why it is promoted although the gate did not pass",
    )


class SnapshotShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    sha256 = serializers.CharField()
    counts = serializers.DictField()
    created_at = serializers.DateTimeField()


class PromotionShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=PromotionKind.choices)
    version = serializers.IntegerField()
    previous = serializers.IntegerField(allow_null=True)
    approver = serializers.CharField()
    reason = serializers.CharField()
    gate_passed = serializers.BooleanField(help_text="false: an admin overrode the gate")
    override = serializers.CharField()
    at = serializers.DateTimeField()


def snapshot_json(snapshot: DatasetSnapshot) -> Json:
    return {
        "id": snapshot.pk,
        "name": snapshot.name,
        "sha256": snapshot.sha256,
        "counts": snapshot.counts,
        "created_at": snapshot.created_at,
    }


def promotion_json(promotion: Promotion) -> Json:
    return {
        "id": promotion.pk,
        "kind": promotion.kind,
        "version": promotion.version_id,
        "previous": promotion.previous_id,
        "approver": promotion.approver.get_username(),
        "reason": promotion.reason,
        "at": promotion.at,
        "gate_passed": bool(promotion.gate.get("passed")),
        "override": promotion.override,
    }
