"""Withdrawing items by the API: their sender takes them back, one by its id or many by their external ids."""

from collections import Counter
from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.api.authentication import needs_scope
from annotation.api.shapes import items as shapes
from annotation.ingest.values import DEFAULT_SOURCE, MAX_BATCH
from annotation.items.withdraw import Withdrawal, withdraw_item, withdraw_many
from annotation.models import ApiKey, Item
from annotation.status import ApiScope
from annotation.web.openapi import answers
from annotation.web.requests import actor_of, query_value


class WithdrawView(APIView):
    permission_classes = [needs_scope(ApiScope.ITEMS_WRITE)]

    @extend_schema(
        operation_id="items_withdraw",
        request=shapes.WithdrawalInput,
        responses=answers({200: shapes.WithdrawnShape}, 404, 422),
        description="Take the item out of every queue: a lease on it ends, and nobody is asked to judge it any more. "
        "What was done on it is kept. Idempotent: of two withdrawals, the first counts. It stays withdrawn if it is "
        "sent again.",
    )
    def post(self, request: Request, item_id: int) -> Response:
        return withdraw_one(request, item_id)


class WithdrawManyView(APIView):
    permission_classes = [needs_scope(ApiScope.ITEMS_WRITE)]

    @extend_schema(
        operation_id="items_withdraw_many",
        request=shapes.WithdrawalsInput,
        parameters=[OpenApiParameter("source", str, description="source of rows that name none")],
        responses=answers({200: shapes.WithdrawalsShape}, 422),
        description=f"Withdraw items by source and external id, at most {MAX_BATCH:,}. Each gets its own result.",
    )
    def post(self, request: Request) -> Response:
        given = shapes.WithdrawalsInput(data=request.data)
        given.is_valid(raise_exception=True)
        source = query_value(request, "source") or DEFAULT_SOURCE
        wanted = [(row.get("source") or source, row["external_id"]) for row in given.validated_data["items"]]
        made = withdraw_many(
            identities=list(dict.fromkeys(wanted)),
            by=actor_of(request),
            key=request.auth if isinstance(request.auth, ApiKey) else None,
            reason=given.validated_data["reason"],
        )
        results = [
            {"index": index, "source": identity[0], "external_id": identity[1], **_result(made.get(identity))}
            for index, identity in enumerate(wanted)
        ]
        counts = Counter(str(result["result"]) for result in results)
        return Response({**{name: counts[name] for name in shapes.WITHDRAWAL_RESULTS}, "results": results})


def withdraw_one(request: Request, item_id: int) -> Response:
    given = shapes.WithdrawalInput(data=request.data or {})
    given.is_valid(raise_exception=True)
    try:
        made = withdraw_item(
            item_id=item_id,
            by=actor_of(request),
            key=request.auth if isinstance(request.auth, ApiKey) else None,
            reason=given.validated_data["reason"],
        )
    except Item.DoesNotExist:
        raise Http404(f"There is no item {item_id}.") from None
    item = made.item
    return Response(
        {
            "id": item.pk,
            "source": item.source,
            "external_id": item.external_id,
            "status": item.status,
            "withdrawn_at": item.withdrawn_at,
            "reason": made.reason,
        }
    )


def _result(made: Withdrawal | None) -> dict[str, Any]:
    if made is None:
        return {"id": None, "result": "unknown"}
    return {"id": made.item.pk, "result": "withdrawn" if made.now else "already"}
