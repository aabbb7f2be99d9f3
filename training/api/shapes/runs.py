"""Request and response shapes of training's API: runs, their rollouts, and pipelines."""

from typing import Any

from rest_framework import serializers

from training.models import Pipeline, TrainingRun
from training.progress.rollouts import Completion, Group, Rollouts
from training.recipes import DEFAULT, Recipe, from_toml, recipe_named
from training.runs.request import editable
from training.status import RunKind, RunStatus
from training.versions.lists import duration, job_state

Json = dict[str, Any]
LAUNCH = 'e.g. {"processes": 4, "strategy": "zero2"}; empty: one process'


class RecipeFields(serializers.Serializer[Any]):
    """The common fields of run and pipeline requests."""

    snapshot = serializers.IntegerField(
        default=None, allow_null=True, help_text="null: create one of everything settled so far"
    )
    base_version = serializers.IntegerField(default=None, allow_null=True, help_text="null: production")
    recipe = serializers.CharField(default=DEFAULT, help_text="name of a preset")
    recipe_toml = serializers.CharField(
        default="", allow_blank=True, help_text="an edited recipe, used instead of `recipe`"
    )
    launch = serializers.DictField(default=dict, help_text=LAUNCH)

    def to_recipe(self) -> Recipe:
        """The requested recipe. Raises RecipeUnknown or SettingUnknown."""
        given = self.validated_data
        return from_toml(given["recipe_toml"]) if given["recipe_toml"] else recipe_named(given["recipe"])


class RunInput(RecipeFields):
    kind = serializers.ChoiceField(choices=RunKind.choices, default=RunKind.SFT)
    settings = serializers.DictField(default=dict, help_text='differences from the recipe, e.g. {"epochs": 3}')
    after = serializers.IntegerField(default=None, allow_null=True, help_text="the run that must succeed first")
    mined_from = serializers.IntegerField(
        default=None, allow_null=True, help_text="the mining whose kept rows it trains on"
    )


class PipelineInput(RecipeFields):
    stages = serializers.ListField(
        child=serializers.ChoiceField(choices=RunKind.choices), default=list, help_text="empty: those of the recipe"
    )
    settings = serializers.DictField(
        child=serializers.DictField(), default=dict, help_text='by stage, e.g. {"grpo": {"max_steps": 100}}'
    )


class CloneRunInput(serializers.Serializer[Any]):
    settings = serializers.DictField(default=dict, help_text="differences from the copied run")


class ClonePipelineInput(serializers.Serializer[Any]):
    settings = serializers.DictField(
        child=serializers.DictField(), default=dict, help_text="differences from the copied pipeline, by stage"
    )


class ProgressShape(serializers.Serializer[Any]):
    stage = serializers.CharField()
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    eta = serializers.CharField()


class RunShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=RunKind.choices)
    status = serializers.ChoiceField(choices=RunStatus.choices)
    recipe = serializers.CharField()
    snapshot = serializers.IntegerField()
    base_version = serializers.IntegerField()
    version = serializers.IntegerField(
        allow_null=True, help_text="the candidate, once the run has succeeded; null for a mining"
    )
    pipeline = serializers.IntegerField(allow_null=True)
    after = serializers.IntegerField(allow_null=True)
    mined_from = serializers.IntegerField(allow_null=True)
    settings = serializers.DictField()
    launch = serializers.DictField()
    progress = ProgressShape()
    error = serializers.CharField()
    result = serializers.DictField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class RunPage(serializers.Serializer[Any]):
    runs = RunShape(many=True)
    next = serializers.IntegerField(allow_null=True, help_text="`before` of the next page")


class PipelineShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=RunStatus.choices)
    recipe = serializers.CharField()
    snapshot = serializers.IntegerField()
    base_version = serializers.IntegerField()
    schedule = serializers.IntegerField(allow_null=True)
    runs = RunShape(many=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class PipelinePage(serializers.Serializer[Any]):
    pipelines = PipelineShape(many=True)
    next = serializers.IntegerField(allow_null=True, help_text="`before` of the next page")


class CompletionShape(serializers.Serializer[Any]):
    text = serializers.CharField()
    tokens = serializers.IntegerField()
    right = serializers.BooleanField()
    parsed = serializers.BooleanField()
    reused = serializers.BooleanField(help_text="reused from a prediction or another mining")
    reward = serializers.FloatField(allow_null=True)
    parts = serializers.DictField(child=serializers.FloatField())
    advantage = serializers.FloatField(allow_null=True)


class GroupShape(serializers.Serializer[Any]):
    row = serializers.CharField()
    prompt = serializers.CharField()
    kept = serializers.BooleanField(allow_null=True, help_text="for a mining")
    completions = CompletionShape(many=True)


class RolloutsShape(serializers.Serializer[Any]):
    step = serializers.IntegerField(allow_null=True)
    steps = serializers.ListField(child=serializers.IntegerField(), help_text="steps with rollouts; empty for a mining")
    page = serializers.IntegerField()
    more = serializers.BooleanField()
    groups = GroupShape(many=True)


def run_json(run: TrainingRun) -> Json:
    state = job_state(run)
    return {
        "id": run.pk,
        "name": run.name,
        "kind": run.kind,
        "status": run.status,
        "recipe": run.recipe,
        "snapshot": run.snapshot_id,
        "base_version": run.base_version_id,
        "version": run.version_id,
        "pipeline": run.pipeline_id,
        "after": run.after_id,
        "mined_from": run.mined_from_id,
        "settings": editable(run.config),
        "launch": run.launch,
        "error": run.error,
        "result": run.result,
        "progress": {"stage": state.stage, "done": state.done, "total": state.total, "eta": duration(state.eta_s)},
        "created_at": run.created_at,
        "finished_at": run.finished_at,
    }


def pipeline_json(pipeline: Pipeline) -> Json:
    return {
        "id": pipeline.pk,
        "name": pipeline.name,
        "status": pipeline.status,
        "recipe": pipeline.recipe,
        "snapshot": pipeline.snapshot_id,
        "base_version": pipeline.base_version_id,
        "schedule": pipeline.schedule_id,
        "runs": [run_json(run) for run in pipeline.runs.order_by("id")],
        "created_at": pipeline.created_at,
        "finished_at": pipeline.finished_at,
    }


def rollouts_json(found: Rollouts) -> Json:
    return {
        "step": found.step,
        "steps": list(found.steps),
        "page": found.page,
        "more": found.more,
        "groups": [_group(group) for group in found.groups],
    }


def _group(group: Group) -> Json:
    return {
        "row": group.row_id,
        "prompt": group.prompt,
        "kept": group.kept,
        "completions": [_completion(completion) for completion in group.completions],
    }


def _completion(one: Completion) -> Json:
    return {
        "text": one.text,
        "tokens": one.tokens,
        "right": one.right,
        "parsed": one.parsed,
        "reused": one.reused,
        "reward": one.reward,
        "parts": dict(one.parts),
        "advantage": one.advantage,
    }
