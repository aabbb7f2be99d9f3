"""The exports API: requesting an export, its progress, and downloads of its files, which can be resumed."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.db import transaction
from django.http import FileResponse, Http404, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.api.authentication import needs_scope
from annotation.api.shapes import exports as shapes
from annotation.doorbell import ring
from annotation.exporting.export_files import manifest_of, request_export
from annotation.exporting.formats import ExportFormat, UnknownFormat, drops_in_words
from annotation.exporting.lists import PAGE, NoSuchFile, file_of, newest_exports
from annotation.exporting.stream import (
    ExportRequest,
    export_archive,
    export_lines,
    record_export,
    summarise,
)
from annotation.ingest.values import FieldError
from annotation.models import ApiKey, Export
from annotation.status import ApiScope, ExportLayout, ExportState
from annotation.tasks import write_exports
from annotation.web.byte_ranges import answer_with
from annotation.web.openapi import answers
from annotation.web.problems import BodyNotValid
from annotation.web.requests import actor_of, query_value

FORMAT_PARAMETERS = [
    OpenApiParameter("format", str, enum=[one.value for one in ExportFormat], description="default: canonical"),
    OpenApiParameter("only", str, enum=["hard"], description="hard: rows whose gold contradicts the guard"),
]


class TakesAnyAccept(BaseContentNegotiation):
    """Ignore `format`, which is the view's own parameter, and `Accept`, which does not apply to downloads."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> Any:
        first = next(iter(renderers))
        return first, first.media_type


class ExportInput(serializers.Serializer[Any]):
    format = serializers.ChoiceField(choices=[one.value for one in ExportFormat], default=ExportFormat.CANONICAL.value)
    layout = serializers.ChoiceField(choices=ExportLayout.choices, default=ExportLayout.JSONL)
    only_hard = serializers.BooleanField(default=False, help_text="rows whose gold contradicts the guard")


class ExportFileShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    size = serializers.IntegerField(help_text="bytes")
    sha256 = serializers.CharField()
    rows = serializers.IntegerField()


class ExportShape(serializers.Serializer[Any]):
    export = serializers.IntegerField()
    state = serializers.ChoiceField(choices=ExportState.choices)
    share = serializers.FloatField(help_text="how much is written, 0 to 1")
    error = serializers.CharField()
    format = serializers.CharField()
    layout = serializers.ChoiceField(choices=ExportLayout.choices)
    only_hard = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    rows = serializers.IntegerField()
    dropped = serializers.DictField(child=serializers.IntegerField(), help_text="count by reason")
    files = ExportFileShape(many=True)


class ExportPage(serializers.Serializer[Any]):
    exports = ExportShape(many=True)
    next = serializers.IntegerField(allow_null=True, help_text="`before` of the next page")


class ExportsView(APIView):
    permission_classes = [needs_scope(ApiScope.EXPORT)]

    @extend_schema(
        operation_id="exports_request",
        request=ExportInput,
        responses=answers({202: ExportShape}, 409, 422),
        description="Reviewed rows as files of at most 50,000 rows, which a worker writes one after the other.",
    )
    def post(self, request: Request) -> Response:
        given = ExportInput(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = ExportRequest(
            ExportFormat(given.validated_data["format"]), only_hard=given.validated_data["only_hard"]
        )
        by = f"key {request.auth.prefix}" if isinstance(request.auth, ApiKey) else "session"
        made = request_export(
            request=wanted, layout=ExportLayout(given.validated_data["layout"]), actor=actor_of(request), by=by
        )
        transaction.on_commit(partial(ring, write_exports))
        return Response(_shape(made), status=202, headers={"Location": f"/api/v1/exports/{made.pk}"})

    @extend_schema(
        operation_id="exports_list",
        parameters=[OpenApiParameter("before", int, description="id: older ones than this")],
        responses=answers({200: ExportPage}),
        description=f"Newest first, {PAGE} a page.",
    )
    def get(self, request: Request) -> Response:
        before = query_value(request, "before")
        rows = newest_exports(before=int(before) if before.isdecimal() and len(before) < 19 else None)
        return Response(
            {"exports": [_shape(row) for row in rows[:PAGE]], "next": rows[PAGE - 1].pk if len(rows) > PAGE else None}
        )


class ExportOfView(APIView):
    permission_classes = [needs_scope(ApiScope.EXPORT)]

    @extend_schema(operation_id="exports_read", responses=answers({200: ExportShape}, 404))
    def get(self, request: Request, export_id: int) -> Response:
        return Response(_shape(_export(export_id)))


class ExportFileView(APIView):
    permission_classes = [needs_scope(ApiScope.EXPORT)]
    content_negotiation_class = TakesAnyAccept

    @extend_schema(
        operation_id="exports_file",
        responses=answers({}, 404)
        | {
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
        },
        description="A finished file, or manifest.json. Takes Range with If-Range: its ETag is the file's SHA-256.",
    )
    def get(self, request: Request, export_id: int, name: str) -> HttpResponseBase:
        try:
            path, etag, mime = file_of(_export(export_id), name)
            return answer_with(request._request, path, etag=etag, mime=mime, name=name)
        except (NoSuchFile, OSError):
            raise Http404(NoSuchFile.__doc__) from None


def _export(export_id: int) -> Export:
    try:
        return Export.objects.get(pk=export_id)
    except Export.DoesNotExist:
        raise Http404(f"There is no export {export_id}.") from None


def _shape(export: Export) -> dict[str, Any]:
    return {**manifest_of(export), "share": round(export.share, 4), "error": export.error}


class ExportView(APIView):
    permission_classes = [needs_scope(ApiScope.EXPORT)]
    content_negotiation_class = TakesAnyAccept

    @extend_schema(
        operation_id="export",
        parameters=[*FORMAT_PARAMETERS, OpenApiParameter("archive", str, enum=["zip"])],
        responses=answers({}, 422)
        | {(200, "application/x-ndjson"): OpenApiTypes.BINARY, (200, "application/zip"): OpenApiTypes.BINARY},
        description="Reviewed rows as JSONL, streamed; with archive=zip a ZIP that holds rows.jsonl, the media "
        "and summary.json. "
        f"{drops_in_words()}. How many: /export/summary.",
    )
    def get(self, request: Request) -> HttpResponseBase:
        wanted = export_request_of(request)
        archive = query_value(request, "archive")
        if archive not in ("", "zip"):
            raise BodyNotValid("There is no such archive.", [FieldError("/archive", "is not zip.")])
        by = f"key {request.auth.prefix}" if isinstance(request.auth, ApiKey) else "session"
        record_export(request=wanted, actor=actor_of(request), by=by)
        if archive:
            return FileResponse(export_archive(request=wanted), as_attachment=True, filename=f"{wanted.file_stem}.zip")
        response = StreamingHttpResponse(export_lines(request=wanted), content_type="application/x-ndjson")
        response["Content-Disposition"] = f'attachment; filename="{wanted.file_stem}.jsonl"'
        response["X-Accel-Buffering"] = "no"
        return response


class ExportSummaryView(APIView):
    permission_classes = [needs_scope(ApiScope.EXPORT)]
    content_negotiation_class = TakesAnyAccept

    @extend_schema(
        operation_id="export_summary",
        parameters=FORMAT_PARAMETERS,
        responses=answers({200: shapes.TallyShape}, 422),
        description="How many rows the export would hold, and how many it would drop, by reason.",
    )
    def get(self, request: Request) -> Response:
        return Response(summarise(request=export_request_of(request)).as_json())


def export_request_of(request: Request) -> ExportRequest:
    only = query_value(request, "only")
    if only not in ("", "hard"):
        raise BodyNotValid("There is no such selection.", [FieldError("/only", "is not hard.")])
    try:
        return ExportRequest(
            ExportFormat(query_value(request, "format") or ExportFormat.CANONICAL), only_hard=only == "hard"
        )
    except UnknownFormat:
        known = ", ".join(one.value for one in ExportFormat)
        raise BodyNotValid("There is no such format.", [FieldError("/format", f"is none of {known}.")]) from None
