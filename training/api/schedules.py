"""The API of schedules."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.web.openapi import answers
from annotation.web.requests import actor_of
from training.api.base import TrainView, fields_named, found, ring_after_commit
from training.api.shapes import schedules as shapes
from training.errors import AskedAlready
from training.models import RetrainSchedule
from training.schedules.schedules import delete_schedule, save_schedule
from training.schedules.selectors import schedules
from training.schedules.triggers import fire_now


class SchedulesView(TrainView):
    @extend_schema(operation_id="schedules_list", responses=answers({200: shapes.ScheduleList}))
    def get(self, request: Request) -> Response:
        return Response({"schedules": [shapes.schedule_json(schedule) for schedule in schedules()]})

    @extend_schema(
        operation_id="schedules_create",
        request=shapes.ScheduleInput,
        responses=answers({201: shapes.ScheduleShape}, 400, 409, 422),
        description="Start pipelines automatically: at a time, after new hard samples, or when agreement drops. "
        "Nothing is promoted.",
    )
    def post(self, request: Request) -> Response:
        return Response(shapes.schedule_json(_saved(request, None)), status=201)


class ScheduleView(TrainView):
    @extend_schema(operation_id="schedules_read", responses=answers({200: shapes.ScheduleShape}, 404))
    def get(self, request: Request, schedule_id: int) -> Response:
        return Response(shapes.schedule_json(_schedule(schedule_id)))

    @extend_schema(
        operation_id="schedules_replace",
        request=shapes.ScheduleInput,
        responses=answers({200: shapes.ScheduleShape}, 400, 404, 409, 422),
    )
    def put(self, request: Request, schedule_id: int) -> Response:
        return Response(shapes.schedule_json(_saved(request, _schedule(schedule_id))))

    @extend_schema(
        operation_id="schedules_delete", responses=answers({204: None}, 404), description="Its pipelines are kept."
    )
    def delete(self, request: Request, schedule_id: int) -> Response:
        delete_schedule(schedule=_schedule(schedule_id))
        return Response(status=204)


class FireView(TrainView):
    @extend_schema(
        operation_id="schedules_fire",
        request=None,
        responses=answers({202: shapes.FiringShape}, 404, 409),
        description="Start its pipeline now, regardless of its condition. The response contains the outcome.",
    )
    def post(self, request: Request, schedule_id: int) -> Response:
        firing = fire_now(schedule=_schedule(schedule_id), asked_by=actor_of(request).get_username())
        if firing is None:
            raise AskedAlready
        ring_after_commit()
        return Response(shapes.firing_json(firing), status=202)


def _saved(request: Request, schedule: RetrainSchedule | None) -> RetrainSchedule:
    given = shapes.ScheduleInput(data=request.data)
    given.is_valid(raise_exception=True)
    with fields_named():
        return save_schedule(given=given.to_given(), person=actor_of(request), schedule=schedule)


def _schedule(schedule_id: int) -> RetrainSchedule:
    schedule: RetrainSchedule = found(schedules(), schedule_id, "schedule")
    return schedule
