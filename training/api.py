"""The API of training: snapshots, runs, promotions. Every operation needs the scope `train`."""

from functools import partial
from typing import Any

from django.db import transaction
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.api import actor_of
from annotation.authentication import needs_scope
from annotation.bells import ring
from annotation.models import ModelVersion
from annotation.openapi import answers
from annotation.problems import BodyNotValid
from annotation.services.incoming import FieldError
from annotation.status import ApiScope
from training import selectors
from training import serializers as shapes
from training.models import DatasetSnapshot, TrainingRun
from training.recipes import RecipeUnknown, SettingUnknown
from training.services import promotion, runs
from training.services.retrain import retrain
from training.services.snapshots import create_snapshot
from training.tasks import execute


class TrainView(APIView):
    permission_classes = [needs_scope(ApiScope.TRAIN)]


class SnapshotsView(TrainView):
    @extend_schema(operation_id="snapshots_create", request=shapes.SnapshotInput,
                   responses=answers({201: shapes.SnapshotShape}, 400, 409, 422),
                   description="Freeze what is settled now as a dataset, split without leaks.")
    def post(self, request: Request) -> Response:
        given = shapes.SnapshotInput(data=request.data)
        given.is_valid(raise_exception=True)
        snapshot = create_snapshot(created_by=actor_of(request), name=given.validated_data["name"], filters=given.to_filters())
        return Response(shapes.snapshot_json(snapshot), status=201)


class RunsView(TrainView):
    @extend_schema(operation_id="runs_create", request=shapes.RunInput, responses=answers({202: shapes.RunShape}, 400, 404, 409, 422),
                   description="Queue a training. Without `snapshot` a new one is taken first; evaluations follow by themselves.")
    def post(self, request: Request) -> Response:
        given = shapes.RunInput(data=request.data)
        given.is_valid(raise_exception=True)
        asked = given.validated_data
        try:
            if asked["snapshot"] is None:
                run = retrain(requested_by=actor_of(request), recipe=asked["recipe"], overrides=asked["settings"])
            else:
                run = runs.request_run(snapshot=_snapshot(asked["snapshot"]), base_version=_version(asked["base_version"]),
                                       requested_by=actor_of(request), recipe=asked["recipe"], overrides=asked["settings"])
        except RecipeUnknown as error:
            raise BodyNotValid(str(error), [FieldError("/recipe", str(error))]) from error
        except SettingUnknown as error:
            raise BodyNotValid(str(error), [FieldError("/settings", str(error))]) from error
        transaction.on_commit(partial(ring, execute))
        return Response(shapes.run_json(run), status=202)


class RunView(TrainView):
    @extend_schema(operation_id="runs_read", responses=answers({200: shapes.RunShape}, 404))
    def get(self, request: Request, run_id: int) -> Response:
        return Response(shapes.run_json(_run(run_id)))


class CancelView(TrainView):
    @extend_schema(operation_id="runs_cancel", request=None, responses=answers({202: shapes.RunShape}, 404, 409),
                   description="A queued run ends at once, a running one at its next step, with a checkpoint.")
    def post(self, request: Request, run_id: int) -> Response:
        runs.cancel_run(run=_run(run_id))
        return Response(shapes.run_json(_run(run_id)), status=202)


class PromoteView(TrainView):
    @extend_schema(operation_id="versions_promote", request=shapes.ReasonInput,
                   responses=answers({200: shapes.PromotionShape}, 400, 404, 409, 422),
                   description="Make an evaluated version production. The key's owner is kept as the approver.")
    def post(self, request: Request, version_id: int) -> Response:
        given = shapes.ReasonInput(data=request.data)
        given.is_valid(raise_exception=True)
        made = promotion.promote(version=_version(version_id), approver=actor_of(request), reason=given.validated_data["reason"])
        return Response(shapes.promotion_json(made))


def _run(run_id: int) -> TrainingRun:
    run: TrainingRun = _found(selectors.runs(), run_id, "run")
    return run


def _snapshot(snapshot_id: int) -> DatasetSnapshot:
    snapshot: DatasetSnapshot = _found(DatasetSnapshot.objects.all(), snapshot_id, "snapshot")
    return snapshot


def _version(version_id: int | None) -> ModelVersion:
    """The version of that id; None means production."""
    if version_id is None:
        current = selectors.production()
        if current is None:
            raise Http404("No version is in production.")
        return current
    version: ModelVersion = _found(ModelVersion.objects.all(), version_id, "version")
    return version


def _found(rows: Any, row_id: int, word: str) -> Any:
    found = rows.filter(pk=row_id).first()
    if found is None:
        raise Http404(f"There is no {word} {row_id}.")
    return found
