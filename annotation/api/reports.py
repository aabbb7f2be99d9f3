"""The reports API: somebody complains about an item that exists, without sending its content again."""

from typing import Any

from django.http import Http404
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.api.authentication import needs_scope
from annotation.api.shapes import around as shapes
from annotation.ingest.read_context import read_reports
from annotation.ingest.read_fields import FieldReader
from annotation.ingest.reports import report_item
from annotation.ingest.values import FieldError, IncomingReport
from annotation.models import Item
from annotation.status import ApiScope
from annotation.web.openapi import answers
from annotation.web.orjson_format import RowsParser
from annotation.web.problems import BodyNotValid
from annotation.web.requests import actor_of


class ReportsView(APIView):
    permission_classes = [needs_scope(ApiScope.ITEMS_WRITE)]
    parser_classes = [RowsParser]

    @extend_schema(
        operation_id="item_report",
        request=PolymorphicProxySerializer(
            component_name="IncomingReports",
            resource_type_field_name=None,
            serializers=[shapes.ReportShape, shapes.ReportBatch],
        ),
        responses=answers({200: shapes.ReportedShape, 201: shapes.ReportedShape}, 400, 404, 413, 415, 422),
        description='One report, or {"reports": [reports]}. Each raises the priority of the item, and reopens a '
        "decided one where its queue says so. Idempotent: the same report (reporter, reason, reported_at) again adds "
        "none, and the answer is 200 instead of 201.",
    )
    def post(self, request: Request, item_id: int) -> Response:
        reports = _reports_of(request.data)
        try:
            done = report_item(item_id=item_id, reports=reports, actor=actor_of(request))
        except Item.DoesNotExist:
            raise Http404(f"There is no item {item_id}.") from None
        body = {
            "item": item_id,
            "reports_added": len(done.new),
            "report_count": done.count,
            "reopened": done.reopened,
        }
        return Response(body, status=201 if done.new else 200)


def _reports_of(body: Any) -> tuple[IncomingReport, ...]:
    """Raises BodyNotValid."""
    errors: list[FieldError] = []
    if not isinstance(body, dict):
        raise BodyNotValid("The report cannot be taken.", [FieldError("", "must be an object.")])
    whole = FieldReader(body if "reports" in body else {"reports": [body]}, errors)
    whole.refuse_unknown(("reports",))
    reports = read_reports(whole, "reports")
    if "reports" not in body:
        errors = [
            FieldError(error.pointer.removeprefix("/reports").removeprefix("/0"), error.detail) for error in errors
        ]
    if not reports and not errors:
        errors.append(FieldError("/reports", "is empty: give at least one report."))
    if errors:
        raise BodyNotValid("The report cannot be taken.", errors)
    return reports
