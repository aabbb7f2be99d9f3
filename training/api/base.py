"""The API of snapshots and promotions, and the common parts of training's API, which needs the scope `train`."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.db import transaction
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.api.authentication import needs_scope
from annotation.doorbell import ring
from annotation.ingest.values import FieldError
from annotation.models import ModelVersion
from annotation.predictions.production import production_or_none
from annotation.status import ApiScope
from annotation.web.openapi import answers
from annotation.web.problems import BodyNotValid
from annotation.web.requests import actor_of
from training.api.shapes import snapshots as shapes
from training.errors import ScheduleNotValid, StagesNotUsable
from training.models import DatasetSnapshot
from training.recipes import RecipeUnknown, SettingUnknown
from training.recipes.launch import LaunchNotUsable
from training.snapshots.create import create_snapshot
from training.tasks import execute
from training.versions import promotion

SAME_REQUEST = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Use a new key for each request. A repeated key starts nothing and returns what the first "
    "request started.",
)


class TrainView(APIView):
    permission_classes = [needs_scope(ApiScope.TRAIN)]


class SnapshotsView(TrainView):
    @extend_schema(
        operation_id="snapshots_create",
        request=shapes.SnapshotInput,
        responses=answers({201: shapes.SnapshotShape}, 400, 409, 422),
        description="Create an immutable dataset of the gold settled so far, split without leakage.",
    )
    def post(self, request: Request) -> Response:
        given = shapes.SnapshotInput(data=request.data)
        given.is_valid(raise_exception=True)
        snapshot = create_snapshot(
            created_by=actor_of(request), name=given.validated_data["name"], filters=given.to_filters()
        )
        return Response(shapes.snapshot_json(snapshot), status=201)


class PromoteView(TrainView):
    @extend_schema(
        operation_id="versions_promote",
        request=shapes.PromoteInput,
        responses=answers({200: shapes.PromotionShape}, 400, 404, 409, 422),
        description="Put a version that passes the gate into production. The key's owner is recorded as the approver.",
    )
    def post(self, request: Request, version_id: int) -> Response:
        given = shapes.PromoteInput(data=request.data)
        given.is_valid(raise_exception=True)
        made = promotion.promote(version=version_of(version_id), approver=actor_of(request), **given.validated_data)
        return Response(shapes.promotion_json(made))


@contextmanager
def fields_named() -> Iterator[None]:
    """Turn a service's refusal of one field into a 422 that points at the field."""
    try:
        yield
    except RecipeUnknown as error:
        raise BodyNotValid(str(error), [FieldError("/recipe", str(error))]) from error
    except SettingUnknown as error:
        raise BodyNotValid(str(error), [FieldError("/settings", str(error))]) from error
    except LaunchNotUsable as error:
        raise BodyNotValid(str(error), [FieldError("/launch", str(error))]) from error
    except StagesNotUsable as error:
        raise BodyNotValid(str(error), [FieldError("/stages", str(error))]) from error
    except ScheduleNotValid as error:
        raise BodyNotValid(str(error), [FieldError(f"/{error.field}", error.message)]) from error


def ring_after_commit() -> None:
    transaction.on_commit(partial(ring, execute))


def key_of(request: Request) -> str:
    """The Idempotency-Key, or "". Keys are hashed with their sender, since two programs may use the same one."""
    given = request.headers.get("Idempotency-Key", "")
    if not given:
        return ""
    return hashlib.sha256(f"{actor_of(request).pk} {given}".encode()).hexdigest()


def snapshot_of(snapshot_id: int) -> DatasetSnapshot:
    snapshot: DatasetSnapshot = found(DatasetSnapshot.objects.all(), snapshot_id, "snapshot")
    return snapshot


def version_of(version_id: int | None) -> ModelVersion:
    """The version with this id; None means production."""
    if version_id is None:
        current = production_or_none()
        if current is None:
            raise Http404("No version is in production.")
        return current
    version: ModelVersion = found(ModelVersion.objects.all(), version_id, "version")
    return version


def found(rows: Any, row_id: int, word: str) -> Any:
    row = rows.filter(pk=row_id).first()
    if row is None:
        raise Http404(f"There is no {word} {row_id}.")
    return row
