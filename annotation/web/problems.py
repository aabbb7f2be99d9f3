"""Errors as problem details (RFC 9457): type, title, status, detail, instance and errors[{pointer, detail}]."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions, status
from rest_framework.response import Response

from annotation.database.outages import Trouble, trouble_of
from annotation.errors import AssignmentNotFound, DecisionNotValid, MediaNotReached, ServiceError
from annotation.ingest.store_items import QueueNotFound
from annotation.ingest.values import FieldError
from annotation.moderation.guard_client import ContentNotReadable, GuardBusy, GuardNotReady
from annotation.people.api_keys import ScopeNotAllowed

logger = logging.getLogger(__name__)
PROBLEM_JSON = "application/problem+json"

STATUS_BY_SERVICE_ERROR: dict[type[Exception], HTTPStatus] = {
    AssignmentNotFound: HTTPStatus.NOT_FOUND,
    QueueNotFound: HTTPStatus.NOT_FOUND,
    ScopeNotAllowed: HTTPStatus.FORBIDDEN,
    GuardBusy: HTTPStatus.TOO_MANY_REQUESTS,
    GuardNotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    MediaNotReached: HTTPStatus.SERVICE_UNAVAILABLE,
    ContentNotReadable: HTTPStatus.UNPROCESSABLE_ENTITY,
    DecisionNotValid: HTTPStatus.UNPROCESSABLE_ENTITY,
    ServiceError: HTTPStatus.CONFLICT,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document. `kind` is a stable identifier for programs; `more` holds additional members."""

    kind: str
    status: int
    detail: str
    errors: Sequence[FieldError] = ()
    more: Mapping[str, Any] | None = None

    def as_json(self, instance: str) -> dict[str, Any]:
        document: dict[str, Any] = {
            "type": f"urn:guardapp:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            **(self.more or {}),
        }
        if self.errors:
            document["errors"] = [asdict(error) for error in self.errors]
        return document


class BodyNotValid(exceptions.APIException):
    """The body can be read, but not taken."""

    status_code: int = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_code = "body_not_valid"

    def __init__(
        self,
        detail: str,
        errors: Sequence[FieldError] = (),
        *,
        kind: str = "",
        status_code: int = 422,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail, code=kind or None)
        self.status_code = status_code
        self.errors = errors
        self.more = more


class BodyTooLarge(exceptions.APIException):
    """The body is larger than this server accepts. Send it in several requests."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "body_too_large"
    default_detail = "The body is larger than this server accepts. Send it in several requests."


def problem_response(error: Exception, context: Mapping[str, Any]) -> Response:
    """The exception handler of REST framework: returns every API error as application/problem+json."""
    request = context.get("request")
    headers: dict[str, str] = {}
    if isinstance(error, exceptions.APIException):
        if getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
        if getattr(error, "wait", None) is not None:
            headers["Retry-After"] = f"{error.wait:.0f}"  # type: ignore[attr-defined]
    if isinstance(error, GuardNotReady | MediaNotReached):
        headers["Retry-After"] = f"{error.retry_after_s:.0f}"
    elif (trouble := trouble_of(error)) is not None:
        headers["Retry-After"] = str(trouble.retry_after_s)
    problem = problem_of(error)
    return Response(
        problem.as_json(request.path if request is not None else ""),
        status=problem.status,
        headers=headers,
        content_type=PROBLEM_JSON,
    )


def problem_of(error: Exception) -> Problem:
    """The problem to return for an error. Unexpected errors are logged and their text is not disclosed."""
    if isinstance(error, BodyNotValid):
        return Problem(_code_of(error), error.status_code, str(error.detail), error.errors, error.more)
    if isinstance(error, exceptions.ValidationError):
        return Problem("body_not_valid", 422, "Some fields cannot be taken.", tuple(_field_errors(error.detail)))
    if isinstance(error, exceptions.APIException):
        return Problem(_code_of(error), error.status_code, str(error.detail))
    if isinstance(error, Http404):
        return Problem("not_found", 404, str(error) or "There is nothing here.")
    if isinstance(error, PermissionDenied):
        return Problem("permission_denied", 403, str(error) or "You may not do this.")
    if isinstance(error, RequestDataTooBig):
        return Problem("body_too_large", 413, BodyTooLarge.default_detail)
    if isinstance(error, (SuspiciousOperation, BadRequest, MultiPartParserError)):
        return Problem("bad_request", 400, str(error) or "The request cannot be read.")
    for kind, code in STATUS_BY_SERVICE_ERROR.items():
        if isinstance(error, kind):
            more = error.counts if isinstance(error, ContentNotReadable) else None
            return Problem(_snake(type(error).__name__), code, str(error), tuple(_of_service(error)), more)
    if (trouble := trouble_of(error)) is not None:
        logger.warning("%s: %s", trouble.kind, error)
        return trouble_problem(trouble)
    logger.error("Unforeseen error in the API", exc_info=error)
    return Problem("internal_error", 500, "Something went wrong here. The operator finds the cause in the log.")


def trouble_problem(trouble: Trouble) -> Problem:
    return Problem(trouble.kind, trouble.status, str(trouble.detail))


def _of_service(error: Exception) -> Iterator[FieldError]:
    if isinstance(error, DecisionNotValid):
        yield FieldError(f"/{error.field}", error.message)
    if isinstance(error, ContentNotReadable):
        yield FieldError(f"/contents/{error.content}{error.pointer}", str(error))


def _code_of(error: exceptions.APIException) -> str:
    codes = error.get_codes()
    return codes if isinstance(codes, str) else error.default_code


def _field_errors(detail: Any, pointer: str = "") -> Iterator[FieldError]:
    """Flatten REST framework's nested lists and dicts of messages into JSON pointers."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _field_errors(inner, pointer if name == "non_field_errors" else f"{pointer}/{name}")
    elif isinstance(detail, list):
        for position, inner in enumerate(detail):
            yield from _field_errors(inner, pointer if isinstance(inner, str) else f"{pointer}/{position}")
    else:
        yield FieldError(pointer, str(detail))


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


@csrf_exempt
@login_not_required
def no_such_endpoint(request: HttpRequest) -> HttpResponse:
    """The 404 response for unknown API paths."""
    problem = Problem("not_found", 404, "There is no such address in this API. /api/docs lists them.")
    return JsonResponse(problem.as_json(request.path), status=404, content_type=PROBLEM_JSON)
