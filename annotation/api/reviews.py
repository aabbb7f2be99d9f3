"""The review API: taking the next item of a queue, holding it and deciding on it, as the owner of the key."""

import uuid

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.api.authentication import needs_scope
from annotation.api.shapes import reviews as shapes
from annotation.ingest.values import FieldError
from annotation.items.item_values import assignment_of
from annotation.queues.access import queue_of
from annotation.review import assign, drafts, leases, reveal, submit, undo
from annotation.status import ApiScope, AssignmentState
from annotation.web.openapi import answers
from annotation.web.problems import BodyNotValid
from annotation.web.requests import actor_of

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="8 to 64 characters, new for each decision. The same key again gives the same review.",
)


class ReviewingView(APIView):
    permission_classes = [needs_scope(ApiScope.REVIEWS_WRITE)]


class NextView(ReviewingView):
    @extend_schema(
        operation_id="queue_next",
        request=None,
        responses=answers({200: shapes.AssignmentShape, 204: None}, 404),
        description="The item that you hold already, else the queue's next. 204: the queue has none for you.",
    )
    def post(self, request: Request, slug: str) -> Response:
        queue = queue_of(actor_of(request), slug)
        if queue is None:
            raise Http404(f"There is no queue {slug!r}.")
        assignment = assign.assign_next(reviewer=actor_of(request), queue=queue)
        return Response(status=204) if assignment is None else Response(assignment_of(assignment))


class SubmitView(ReviewingView):
    @extend_schema(
        operation_id="assignment_submit",
        request=shapes.ReviewInput,
        parameters=[IDEMPOTENCY_KEY],
        responses=answers({201: shapes.SubmittedShape}, 404, 409, 422),
        description="409: the lease has run out (your decision is kept as a draft), or the idempotency key "
        "was used before.",
    )
    def post(self, request: Request, token: uuid.UUID) -> Response:
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            raise BodyNotValid(
                "The header Idempotency-Key is missing.", [FieldError("/Idempotency-Key", "is missing.")]
            )
        decision = shapes.ReviewInput(data=request.data)
        decision.is_valid(raise_exception=True)
        made = submit.submit_review(
            reviewer=actor_of(request), token=token, idempotency_key=key, decision=decision.to_decision()
        )
        return Response({"id": made.pk, "item": made.item_id}, status=201)


class RevealView(ReviewingView):
    @extend_schema(
        operation_id="assignment_reveal",
        request=shapes.RevealInput,
        responses=answers({200: shapes.AssignmentShape}, 404, 409, 422),
        description="decide_first: keep your own verdict, then see the guard's. The first one counts. 409: "
        "the lease has run "
        "out, or the item is not decided first.",
    )
    def post(self, request: Request, token: uuid.UUID) -> Response:
        own = shapes.RevealInput(data=request.data)
        own.is_valid(raise_exception=True)
        return Response(assignment_of(reveal.reveal(reviewer=actor_of(request), token=token, **own.validated_data)))


class SkipView(ReviewingView):
    @extend_schema(
        operation_id="assignment_skip",
        request=None,
        responses=answers({200: shapes.EndedShape}, 404, 409),
        description="Give the item back. It does not come to you again, unless you undo the skip.",
    )
    def post(self, request: Request, token: uuid.UUID) -> Response:
        submit.skip(reviewer=actor_of(request), token=token)
        return Response({"token": token, "state": AssignmentState.SKIPPED})


class EscalateView(ReviewingView):
    @extend_schema(
        operation_id="assignment_escalate",
        request=shapes.EscalationInput,
        responses=answers({200: shapes.EndedShape}, 404, 409, 422),
        description="Hand the item to a lead.",
    )
    def post(self, request: Request, token: uuid.UUID) -> Response:
        given = shapes.EscalationInput(data=request.data)
        given.is_valid(raise_exception=True)
        submit.escalate(reviewer=actor_of(request), token=token, reason=given.validated_data["reason"])
        return Response({"token": token, "state": AssignmentState.ESCALATED})


class HeartbeatView(ReviewingView):
    @extend_schema(
        operation_id="assignment_heartbeat",
        request=None,
        responses=answers({200: shapes.LeaseShape}, 404, 409),
        description="Hold the item for another lease.",
    )
    def post(self, request: Request, token: uuid.UUID) -> Response:
        assignment = leases.extend_lease(reviewer=actor_of(request), token=token)
        return Response({"token": assignment.token, "expires_at": assignment.expires_at})


class DraftView(ReviewingView):
    @extend_schema(
        operation_id="assignment_draft",
        request=shapes.DraftInput,
        responses=answers({200: shapes.DraftSavedShape}, 404, 422),
        description="Keep an unfinished review; it outlives the lease.",
    )
    def put(self, request: Request, token: uuid.UUID) -> Response:
        given = shapes.DraftInput(data=request.data)
        given.is_valid(raise_exception=True)
        draft = drafts.save_draft(reviewer=actor_of(request), token=token, payload=given.validated_data["payload"])
        return Response({"saved_at": draft.saved_at})


class UndoLastView(ReviewingView):
    @extend_schema(
        operation_id="assignment_undo_last",
        request=None,
        responses=answers({200: shapes.AssignmentShape}, 409),
        description="Undo what you did last, a review, a skip or an escalation; you hold its item again. 409: there "
        "is nothing, it has been settled or used, or somebody else has the item. Nothing older is undone then.",
    )
    def post(self, request: Request) -> Response:
        return Response(assignment_of(undo.undo_last(reviewer=actor_of(request))))


class UndoAssignmentView(ReviewingView):
    @extend_schema(
        operation_id="assignment_undo",
        request=None,
        responses=answers({200: shapes.AssignmentShape}, 404, 409),
        description="Undo how you ended this assignment: your review, skip or escalation; you hold its item again.",
    )
    def post(self, request: Request, token: uuid.UUID) -> Response:
        return Response(assignment_of(undo.undo_assignment(reviewer=actor_of(request), token=token)))


class UndoView(ReviewingView):
    @extend_schema(
        operation_id="review_undo",
        request=None,
        responses=answers({200: shapes.AssignmentShape}, 409),
        description="Take back one of your last ten reviews; you hold its item again. 409: it is none, or "
        "training has used it.",
    )
    def post(self, request: Request, review_id: int) -> Response:
        return Response(assignment_of(undo.undo_review(reviewer=actor_of(request), review_id=review_id)))
