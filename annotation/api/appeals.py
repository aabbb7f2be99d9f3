"""The appeals API: a user of a platform objects to a settled verdict."""

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.api.authentication import needs_scope
from annotation.api.shapes import reviews as shapes
from annotation.models import Item
from annotation.review.appeals import open_appeal
from annotation.status import ApiScope
from annotation.web.openapi import answers
from annotation.web.requests import actor_of


class AppealView(APIView):
    permission_classes = [needs_scope(ApiScope.ITEMS_WRITE)]

    @extend_schema(
        operation_id="item_appeal",
        request=shapes.AppealInput,
        responses=answers({201: shapes.AppealShape}, 404, 409, 422),
        description="Somebody who has not judged the item decides again. 409: it has no verdict yet, or an "
        "appeal is open.",
    )
    def post(self, request: Request, item_id: int) -> Response:
        given = shapes.AppealInput(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            item = Item.objects.get(pk=item_id)
        except Item.DoesNotExist:
            raise Http404(f"There is no item {item_id}.") from None
        made = open_appeal(
            item=item,
            reason=given.validated_data["reason"],
            opened_by=actor_of(request),
            appellant=given.validated_data["appellant"],
        )
        return Response({"id": made.pk, "item": item.pk, "state": made.state, "opened_at": made.opened_at}, status=201)
