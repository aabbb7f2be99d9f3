"""The shapes of training's API."""

from typing import Any

from rest_framework import serializers

from training.models import DatasetSnapshot, Promotion, TrainingRun
from training.recipes import DEFAULT
from training.selectors import duration, job_state
from training.services.runs import editable
from training.services.snapshots import SnapshotFilters
from training.status import PromotionKind, RunStatus

Json = dict[str, Any]


class SnapshotInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100, default="", allow_blank=True, help_text="numbered by itself where it is empty")
    sources = serializers.ListField(child=serializers.CharField(max_length=100), default=list, help_text="items from these only")
    queues = serializers.ListField(child=serializers.SlugField(), default=list, help_text="items of these queues only")
    modalities = serializers.ListField(child=serializers.CharField(max_length=16), default=list)
    hard_only = serializers.BooleanField(default=False, help_text="only gold that contradicts the guard")

    def to_filters(self) -> SnapshotFilters:
        given = self.validated_data
        return SnapshotFilters(sources=tuple(given["sources"]), queues=tuple(given["queues"]), modalities=tuple(given["modalities"]),
                               hard_only=given["hard_only"])


class RunInput(serializers.Serializer[Any]):
    snapshot = serializers.IntegerField(default=None, allow_null=True, help_text="null: take a new one of everything that is settled")
    base_version = serializers.IntegerField(default=None, allow_null=True, help_text="null: production")
    recipe = serializers.CharField(default=DEFAULT)
    settings = serializers.DictField(default=dict, help_text="what differs from the recipe, e.g. {\"epochs\": 3}")


class ReasonInput(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2_000)


class SnapshotShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    sha256 = serializers.CharField()
    counts = serializers.DictField()
    created_at = serializers.DateTimeField()


class ProgressShape(serializers.Serializer[Any]):
    stage = serializers.CharField()
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    eta = serializers.CharField()


class RunShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=RunStatus.choices)
    snapshot = serializers.IntegerField()
    base_version = serializers.IntegerField()
    version = serializers.IntegerField(allow_null=True, help_text="the candidate, when the run has succeeded")
    settings = serializers.DictField()
    progress = ProgressShape()
    error = serializers.CharField()
    result = serializers.DictField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class PromotionShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=PromotionKind.choices)
    version = serializers.IntegerField()
    previous = serializers.IntegerField(allow_null=True)
    approver = serializers.CharField()
    reason = serializers.CharField()
    at = serializers.DateTimeField()


def snapshot_json(snapshot: DatasetSnapshot) -> Json:
    return {"id": snapshot.pk, "name": snapshot.name, "sha256": snapshot.sha256, "counts": snapshot.counts,
            "created_at": snapshot.created_at}


def run_json(run: TrainingRun) -> Json:
    state = job_state(run)
    return {
        "id": run.pk, "name": run.name, "status": run.status, "snapshot": run.snapshot_id, "base_version": run.base_version_id,
        "version": run.version_id, "settings": editable(run.config), "error": run.error, "result": run.result,
        "progress": {"stage": state.stage, "done": state.done, "total": state.total, "eta": duration(state.eta_s)},
        "created_at": run.created_at, "finished_at": run.finished_at,
    }


def promotion_json(promotion: Promotion) -> Json:
    return {"id": promotion.pk, "kind": promotion.kind, "version": promotion.version_id, "previous": promotion.previous_id,
            "approver": promotion.approver.get_username(), "reason": promotion.reason, "at": promotion.at}
