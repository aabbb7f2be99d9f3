"""The items API: sending rows, and listing and reading stored items."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.api.authentication import needs_scope
from annotation.api.shapes import items as shapes
from annotation.api.withdraw import withdraw_one
from annotation.doorbell import ring
from annotation.ingest.read_media import MediaFinder, files_of_upload, no_files, with_fetching
from annotation.ingest.read_rows import read_row
from annotation.ingest.store_items import DEFAULT_QUEUE, ingest_items
from annotation.ingest.values import DEFAULT_SOURCE, MAX_BATCH, FieldError, RowResult, RowStatus
from annotation.items.item_values import PAGE, CursorNotValid, item_with_all, page_of_items
from annotation.items.search import CHOICES, COUNT, ItemSearch, day_of
from annotation.models import ApiKey, Item
from annotation.status import ApiScope
from annotation.tasks import predict
from annotation.web.multipart import MultiPartKeepingNames
from annotation.web.openapi import answers
from annotation.web.orjson_format import RowsParser, read_rows
from annotation.web.problems import BodyNotValid, BodyTooLarge
from annotation.web.requests import actor_of, query_value

MAX_PAGE = 1_000
# for multipart bodies, whose files are buffered on disk
MAX_UPLOAD_BYTES = 1 << 30
INCOMING = PolymorphicProxySerializer(
    component_name="IncomingRows",
    resource_type_field_name=None,
    serializers=[shapes.OwnRow, shapes.CoopRow, shapes.ChatRow, shapes.DatasetRow, shapes.RowBatch],
)
UPLOAD = {
    "type": "object",
    "required": ["items"],
    "additionalProperties": {"type": "string", "format": "binary"},
    "properties": {
        "items": {
            "type": "string",
            "description": "JSON of the rows. Their media name the uploaded files by field name or file name; a name "
            "that several files have is refused.",
        }
    },
}


SEARCH_PARAMETERS = [
    OpenApiParameter("q", str, description="words of the text, as in `text`, or how the external id begins"),
    OpenApiParameter(
        "text",
        str,
        description="words, or phrases in quotes: each must stand somewhere in prompt, response or earlier messages. "
        "Case, accents and the forms of a character make no difference; every other character counts as it is.",
    ),
    OpenApiParameter("external_id", str, description="how the external id begins"),
    *(OpenApiParameter(name, str, enum=values) for name, values in CHOICES.items() if name != "skipped"),
    *(OpenApiParameter(name, str) for name in ("source", "queue", "language", "category", "version")),
    OpenApiParameter(
        "skipped", str, enum=CHOICES["skipped"], description="waiting, and skipped by all who may review it, or by some"
    ),
    OpenApiParameter("reviewer", str, description="username of somebody who reviewed it"),
    OpenApiParameter("author", str, description="id of who posted it, as the platform names them"),
    OpenApiParameter("reports", int, description="at least so many reports"),
    *(
        OpenApiParameter(name, OpenApiTypes.DATE, description=f"day (UTC) of coming in, {words}")
        for name, words in (("since", "or later"), ("until", "or earlier"))
    ),
]


def search_of(request: Request) -> ItemSearch:
    """Raises BodyNotValid for an unknown value, which pages ignore, because a program needs to notice its mistake."""
    given = {field.name: query_value(request, field.name) for field in fields(ItemSearch)}
    errors = [
        FieldError(f"/{name}", f"is none of {', '.join(values)}.")
        for name, values in CHOICES.items()
        if given[name] and given[name] not in values
    ]
    errors += [
        FieldError(f"/{name}", "is no date as in 2025-01-31.")
        for name in ("since", "until")
        if given[name] and not day_of(given[name])
    ]
    if given["reports"] and not COUNT.fullmatch(given["reports"]):
        errors.append(FieldError("/reports", "is no whole number from 1."))
    if errors:
        raise BodyNotValid("The items cannot be narrowed so.", errors)
    return ItemSearch.of(given)


class ItemsView(APIView):
    parser_classes = [RowsParser, MultiPartKeepingNames]

    def get_permissions(self) -> Sequence[Any]:
        return [needs_scope(ApiScope.ITEMS_READ if self.request.method in ("GET", "HEAD") else ApiScope.ITEMS_WRITE)()]

    @extend_schema(
        operation_id="items_ingest",
        request={"application/json": INCOMING, "multipart/form-data": UPLOAD},
        parameters=[
            OpenApiParameter("source", str, description="source of rows that name none"),
            OpenApiParameter("queue", str, description=f"slug of the review queue (default: {DEFAULT_QUEUE})"),
        ],
        responses=answers({202: shapes.IngestResult}, 400, 404, 409, 413, 415, 422),
        description=f'One row, a list of rows, or {{"items": [rows]}}; at most {MAX_BATCH:,} rows. Idempotent on '
        "(source, external_id): "
        "each row gets its own result, and a bad row takes no other with it. 422 only where no row could be taken. "
        "A row whose item exists adds its reports to it, each different one once: `reports_added`.",
    )
    def post(self, request: Request) -> Response:
        rows, find = rows_of(request)
        source = query_value(request, "source") or DEFAULT_SOURCE
        read = [read_row(row, default_source=source, find=find) for row in rows]
        results = ingest_items(
            rows=read,
            key=request.auth if isinstance(request.auth, ApiKey) else None,
            actor=actor_of(request),
            queue=query_value(request, "queue") or DEFAULT_QUEUE,
        )
        counts = Counter(result.status for result in results)
        if counts[RowStatus.CREATED]:
            transaction.on_commit(partial(ring, predict))
        body = {
            **{status.value: counts[status] for status in RowStatus},
            "reports_added": sum(result.reports_added for result in results),
            "results": results,
        }
        if counts[RowStatus.CREATED] or counts[RowStatus.EXISTS]:
            return Response(body, status=202)
        raise _nothing_taken(results, body)

    @extend_schema(
        operation_id="items_list",
        parameters=[
            *SEARCH_PARAMETERS,
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description=f"1 to {MAX_PAGE:,} (default: {PAGE})"),
        ],
        responses=answers({200: shapes.ItemPage}, 422),
        description="Newest first. `next` is the cursor of the next page. Where hardly anything fits the filters, "
        "a page may hold fewer items than the limit, or none, and still have a `next`: go on until it is null.",
    )
    def get(self, request: Request) -> Response:
        search, limit = search_of(request), query_value(request, "limit") or str(PAGE)
        if not limit.isdecimal() or not 1 <= int(limit[:9]) <= MAX_PAGE:
            raise BodyNotValid("The limit cannot be taken.", [FieldError("/limit", f"must be 1 to {MAX_PAGE:,}.")])
        try:
            page = page_of_items(search, cursor=query_value(request, "cursor"), limit=int(limit))
        except CursorNotValid as error:
            raise BodyNotValid(str(error), [FieldError("/cursor", "cannot be read.")]) from error
        return Response(page)


class ItemView(APIView):
    def get_permissions(self) -> Sequence[Any]:
        return [needs_scope(ApiScope.ITEMS_READ if self.request.method in ("GET", "HEAD") else ApiScope.ITEMS_WRITE)()]

    @extend_schema(operation_id="items_read", responses=answers({200: shapes.ItemShape}, 404))
    def get(self, request: Request, item_id: int) -> Response:
        try:
            return Response(item_with_all(item_id))
        except Item.DoesNotExist:
            raise Http404(f"There is no item {item_id}.") from None

    @extend_schema(
        operation_id="items_delete",
        request=shapes.WithdrawalInput,
        responses=answers({200: shapes.WithdrawnShape}, 404, 422),
        description="The same as POST /items/{item_id}/withdraw.",
    )
    def delete(self, request: Request, item_id: int) -> Response:
        return withdraw_one(request, item_id)


def rows_of(request: Request) -> tuple[list[Any], MediaFinder]:
    """The rows of the body, and a finder for their files. Raises BodyNotValid or BodyTooLarge."""
    multipart = request.content_type.startswith("multipart/")
    if multipart and int(request.META.get("CONTENT_LENGTH") or 0) > MAX_UPLOAD_BYTES:
        raise BodyTooLarge
    body: Any = request.data
    find: MediaFinder = with_fetching(no_files)
    if multipart:
        given = [*request.FILES.getlist("items"), *body.getlist("items")] if hasattr(body, "getlist") else []
        if len({id(one) for one in given}) > 1:
            raise BodyNotValid(
                "The part `items` comes more than once.", [FieldError("/items", "must be one part with all rows.")]
            )
        files = [(name, upload) for name, uploads in request.FILES.lists() for upload in uploads if name != "items"]
        upload = request.FILES.get("items")
        if upload is not None and (upload.size or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise BodyTooLarge
        written = upload.read() if upload is not None else body.get("items")
        if not written:
            raise BodyNotValid("The part `items` is missing.", [FieldError("/items", "is missing: the rows as JSON.")])
        body, find = read_rows(written), with_fetching(files_of_upload(files))
    if isinstance(body, dict) and "items" in body:
        unknown = [FieldError(f"/{name}", "is not known beside items.") for name in body if name != "items"]
        if unknown or not isinstance(body["items"], list):
            raise BodyNotValid(
                "The body cannot be taken.", unknown or [FieldError("/items", "must be a list of rows.")]
            )
        body = body["items"]
    rows = body if isinstance(body, list) else [body]
    if not 1 <= len(rows) <= MAX_BATCH:
        raise BodyNotValid(
            f"A batch has 1 to {MAX_BATCH:,} rows, this one has {len(rows):,}.",
            kind="batch_size",
            status_code=413 if rows else 422,
        )
    return rows, find


def _nothing_taken(results: Sequence[RowResult], body: dict[str, Any]) -> BodyNotValid:
    errors = [
        FieldError(f"/{result.index}{error.pointer}", error.detail) for result in results for error in result.errors
    ]
    status = 422 if any(result.status is RowStatus.REJECTED for result in results) else 409
    return BodyNotValid("No row could be taken.", errors, kind="no_row_taken", status_code=status, more=body)
