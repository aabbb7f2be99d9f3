"""The API of runs and pipelines."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.ingest.values import FieldError
from annotation.web.openapi import answers
from annotation.web.problems import BodyNotValid
from annotation.web.requests import actor_of, query_value
from training.api.base import (
    SAME_REQUEST,
    TrainView,
    fields_named,
    found,
    key_of,
    ring_after_commit,
    snapshot_of,
    version_of,
)
from training.api.shapes import runs as shapes
from training.models import Pipeline, TrainingRun
from training.progress import run_values
from training.runs import pipelines
from training.runs.idempotency import once
from training.runs.request import cancel_run, clone_run, request_run, resume_run
from training.runs.retrain import retrain, retrain_in_stages
from training.status import RunKind, RunStatus
from training.versions import lists

PAGE = 50
BEFORE = OpenApiParameter("before", int, description=f"an id: returns up to {PAGE} older ones, newest first")
STATUS = OpenApiParameter("status", str, enum=RunStatus.values)


class RunsView(TrainView):
    @extend_schema(
        operation_id="runs_list",
        parameters=[OpenApiParameter("kind", str, enum=RunKind.values), STATUS, BEFORE],
        responses=answers({200: shapes.RunPage}, 422),
    )
    def get(self, request: Request) -> Response:
        page, following = _page(request, lists.runs(), kind=RunKind.values, status=RunStatus.values)
        return Response({"runs": [shapes.run_json(run) for run in page], "next": following})

    @extend_schema(
        operation_id="runs_create",
        request=shapes.RunInput,
        parameters=[SAME_REQUEST],
        responses=answers({202: shapes.RunShape}, 400, 404, 409, 422),
        description="Queue a run. A fine-tuning without `snapshot` creates a new one first; evaluations follow "
        "automatically.",
    )
    def post(self, request: Request) -> Response:
        given = shapes.RunInput(data=request.data)
        given.is_valid(raise_exception=True)
        with fields_named():
            run = _requested_run(request, given)
        ring_after_commit()
        return Response(shapes.run_json(run), status=202)


def _requested_run(request: Request, given: shapes.RunInput) -> TrainingRun:
    wanted, recipe = given.validated_data, given.to_recipe()
    if wanted["snapshot"] is None:
        if wanted["kind"] != RunKind.SFT or wanted["base_version"] or wanted["after"] or wanted["mined_from"]:
            raise BodyNotValid(
                "Only a fine-tuning of production can create a new snapshot.",
                [FieldError("/snapshot", "is missing.")],
            )
        return retrain(
            requested_by=actor_of(request),
            recipe=recipe,
            overrides=wanted["settings"],
            launch=wanted["launch"],
            key=key_of(request),
        )
    snapshot, base = snapshot_of(wanted["snapshot"]), version_of(wanted["base_version"])
    after, mined_from = _run_or_none(wanted["after"]), _run_or_none(wanted["mined_from"])
    return once(
        key=key_of(request),
        kind=TrainingRun,
        make=lambda: request_run(
            snapshot=snapshot,
            base_version=base,
            requested_by=actor_of(request),
            kind=wanted["kind"],
            recipe=recipe,
            overrides=wanted["settings"],
            launch=wanted["launch"],
            after=after,
            mined_from=mined_from,
        ),
    )


class RunView(TrainView):
    @extend_schema(operation_id="runs_read", responses=answers({200: shapes.RunShape}, 404))
    def get(self, request: Request, run_id: int) -> Response:
        return Response(shapes.run_json(_run(run_id)))


class CancelView(TrainView):
    @extend_schema(
        operation_id="runs_cancel",
        request=None,
        responses=answers({202: shapes.RunShape}, 404, 409),
        description="A queued run ends at once, a running one at its next step, with a checkpoint.",
    )
    def post(self, request: Request, run_id: int) -> Response:
        cancel_run(run=_run(run_id))
        return Response(shapes.run_json(_run(run_id)), status=202)


class ResumeView(TrainView):
    @extend_schema(
        operation_id="runs_resume",
        request=None,
        responses=answers({202: shapes.RunShape}, 404, 409),
        description="Queue a failed or cancelled run again: it resumes from its newest checkpoint, followed by "
        "the runs that wait for it.",
    )
    def post(self, request: Request, run_id: int) -> Response:
        resume_run(run=_run(run_id))
        ring_after_commit()
        return Response(shapes.run_json(_run(run_id)), status=202)


class CloneView(TrainView):
    @extend_schema(
        operation_id="runs_clone",
        request=shapes.CloneRunInput,
        parameters=[SAME_REQUEST],
        responses=answers({202: shapes.RunShape}, 404, 409, 422),
        description="Queue a copy of the same kind, with the same rows and settings.",
    )
    def post(self, request: Request, run_id: int) -> Response:
        given, original = shapes.CloneRunInput(data=request.data), _run(run_id)
        given.is_valid(raise_exception=True)
        with fields_named():
            run = once(
                key=key_of(request),
                kind=TrainingRun,
                make=lambda: clone_run(
                    run=original, requested_by=actor_of(request), overrides=given.validated_data["settings"]
                ),
            )
        ring_after_commit()
        return Response(shapes.run_json(run), status=202)


class RolloutsView(TrainView):
    @extend_schema(
        operation_id="runs_rollouts",
        parameters=[
            OpenApiParameter("step", int, description="for GRPO; default: the newest"),
            OpenApiParameter("page", int),
        ],
        responses=answers({200: shapes.RolloutsShape}, 404, 422),
        description="Completions sampled by a mining or a GRPO run.",
    )
    def get(self, request: Request, run_id: int) -> Response:
        step, page = _number(request, "step"), _number(request, "page") or 1
        return Response(shapes.rollouts_json(run_values.rollouts_of(_run(run_id), step, page)))


class PipelinesView(TrainView):
    @extend_schema(
        operation_id="pipelines_list",
        parameters=[STATUS, BEFORE],
        responses=answers({200: shapes.PipelinePage}, 422),
    )
    def get(self, request: Request) -> Response:
        page, following = _page(request, lists.pipelines(), status=RunStatus.values)
        return Response({"pipelines": [shapes.pipeline_json(pipeline) for pipeline in page], "next": following})

    @extend_schema(
        operation_id="pipelines_create",
        request=shapes.PipelineInput,
        parameters=[SAME_REQUEST],
        responses=answers({202: shapes.PipelineShape}, 400, 404, 409, 422),
        description="Queue the stages of a recipe, each waiting for the one before; the last version is evaluated "
        "against production. Nothing is promoted.",
    )
    def post(self, request: Request) -> Response:
        given = shapes.PipelineInput(data=request.data)
        given.is_valid(raise_exception=True)
        with fields_named():
            pipeline = _requested_pipeline(request, given)
        ring_after_commit()
        return Response(shapes.pipeline_json(pipeline), status=202)


def _requested_pipeline(request: Request, given: shapes.PipelineInput) -> Pipeline:
    wanted, recipe = given.validated_data, given.to_recipe()
    shared: dict[str, Any] = {
        "requested_by": actor_of(request),
        "recipe": recipe,
        "stages": wanted["stages"],
        "overrides": wanted["settings"],
        "launch": wanted["launch"],
    }
    if wanted["snapshot"] is None:
        if wanted["base_version"]:
            raise BodyNotValid(
                "Only a pipeline from production can create a new snapshot.", [FieldError("/snapshot", "is missing.")]
            )
        return retrain_in_stages(**shared, key=key_of(request))
    snapshot, base = snapshot_of(wanted["snapshot"]), version_of(wanted["base_version"])
    return once(
        key=key_of(request),
        kind=Pipeline,
        make=lambda: pipelines.request_pipeline(snapshot=snapshot, base_version=base, **shared),
    )


class PipelineView(TrainView):
    @extend_schema(operation_id="pipelines_read", responses=answers({200: shapes.PipelineShape}, 404))
    def get(self, request: Request, pipeline_id: int) -> Response:
        return Response(shapes.pipeline_json(_pipeline(pipeline_id)))


class CancelPipelineView(TrainView):
    @extend_schema(
        operation_id="pipelines_cancel",
        request=None,
        responses=answers({202: shapes.PipelineShape}, 404, 409),
        description="Cancel its current run and the runs that wait for it.",
    )
    def post(self, request: Request, pipeline_id: int) -> Response:
        pipelines.cancel_pipeline(pipeline=_pipeline(pipeline_id))
        return Response(shapes.pipeline_json(_pipeline(pipeline_id)), status=202)


class ClonePipelineView(TrainView):
    @extend_schema(
        operation_id="pipelines_clone",
        request=shapes.ClonePipelineInput,
        parameters=[SAME_REQUEST],
        responses=answers({202: shapes.PipelineShape}, 404, 409, 422),
    )
    def post(self, request: Request, pipeline_id: int) -> Response:
        given, original = shapes.ClonePipelineInput(data=request.data), _pipeline(pipeline_id)
        given.is_valid(raise_exception=True)
        with fields_named():
            pipeline = once(
                key=key_of(request),
                kind=Pipeline,
                make=lambda: pipelines.clone_pipeline(
                    pipeline=original, requested_by=actor_of(request), overrides=given.validated_data["settings"]
                ),
            )
        ring_after_commit()
        return Response(shapes.pipeline_json(pipeline), status=202)


def _page(request: Request, rows: QuerySet[Any], **choices: list[str]) -> tuple[list[Any], int | None]:
    """Return a page of rows filtered by the parameters, and the id for requesting the next page."""
    for name, known in choices.items():
        value = query_value(request, name)
        if value and value not in known:
            raise BodyNotValid(
                f"There is no such {name}.", [FieldError(f"/{name}", f"is not one of {', '.join(known)}.")]
            )
        rows = rows.filter(**{name: value}) if value else rows
    before = _number(request, "before")
    page = list((rows if before is None else rows.filter(pk__lt=before))[: PAGE + 1])
    return page[:PAGE], page[PAGE - 1].pk if len(page) > PAGE else None


def _number(request: Request, name: str) -> int | None:
    value = query_value(request, name)
    if not value:
        return None
    if not value.isdecimal() or len(value) > 18 or int(value) < 1:
        raise BodyNotValid(
            "A parameter is not valid.", [FieldError(f"/{name}", "must be a whole number of at least 1.")]
        )
    return int(value)


def _run(run_id: int) -> TrainingRun:
    run: TrainingRun = found(lists.runs(), run_id, "run")
    return run


def _run_or_none(run_id: int | None) -> TrainingRun | None:
    return None if run_id is None else _run(run_id)


def _pipeline(pipeline_id: int) -> Pipeline:
    pipeline: Pipeline = found(lists.pipelines(), pipeline_id, "pipeline")
    return pipeline
