"""Synchronous moderation: the native API, OpenAI's, and checking a response while it is being generated."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.api.authentication import needs_scope
from annotation.api.exports import TakesAnyAccept
from annotation.api.openai_shape import as_openai, mode_of
from annotation.api.shapes import moderation as shapes
from annotation.doorbell import ring
from annotation.errors import ServiceError
from annotation.ingest.read_fields import MOST_UNKNOWN
from annotation.ingest.values import MAX_TEXT_CHARACTERS, FieldError
from annotation.models import ApiKey
from annotation.moderation.guard_client import ContentNotReadable
from annotation.moderation.guard_wire import JudgeRequest
from annotation.moderation.moderate import Moderated, moderate, thresholds_now
from annotation.moderation.read_contents import read_contents, read_input
from annotation.moderation.stream import EVERY, FEWEST_EVERY, Checked, ResponseTooLong, StreamRequest, check_stream
from annotation.predictions.active_policy import active_policy_version, policy_categories
from annotation.predictions.predict import labels_of
from annotation.predictions.windows import window_rows
from annotation.status import ApiScope
from annotation.tasks import predict
from annotation.web.openapi import answers
from annotation.web.orjson_format import read_json
from annotation.web.problems import BodyNotValid, problem_of
from annotation.web.requests import actor_of, connection_of
from annotation.web.streamed_body import lines_of
from guardapp.guard.judging import Mode
from guardapp.guard.verdict import Rollout

MOST_ROLLOUTS = 16
LONGEST_LINE = 4 * MAX_TEXT_CHARACTERS  # bytes
OWN_FIELDS = frozenset({"contents", "mode", "rollouts", "deadline_ms", "open_items"})
OPENAI_FIELDS = frozenset({"input", "model", "reasoning"})
STREAM_FIELDS = frozenset({"prompt", "mode", "every", "deadline_ms"})
NOT_TAKEN = "The body cannot be taken."


class ModerateView(APIView):
    permission_classes = [needs_scope(ApiScope.MODERATE)]

    @extend_schema(
        operation_id="moderate",
        request=shapes.ModerateInput,
        responses=answers({200: shapes.ModerateOutput}, 422, 429, 503),
        description="Thresholds decide on allow, review or block; for review an item is opened in a queue. 429 "
        "and 503 say in "
        "Retry-After when to ask again.",
    )
    def post(self, request: Request) -> Response:
        body, errors = _object(request.data, OWN_FIELDS)
        contents = read_contents(body.get("contents"), errors)
        wanted = JudgeRequest(
            tuple(contents),
            _mode(body, errors),
            _number(body, "rollouts", 0, 0, MOST_ROLLOUTS, errors),
            _seconds(body, errors),
        )
        open_items = _boolean(body, "open_items", True, errors)
        _refuse(errors)
        done = moderate(
            request=wanted,
            key=_key(request),
            actor=actor_of(request),
            open_items=open_items,
            caller=connection_of(request),
        )
        _ring_for(done)
        return Response(
            {
                "version": done[0].answer.version,
                "policy_version": done[0].answer.policy_version,
                "results": [_as_json(one) for one in done],
            }
        )


class OpenAIView(APIView):
    permission_classes = [needs_scope(ApiScope.MODERATE)]

    def handle_exception(self, exc: Exception) -> Response:
        """A problem document with OpenAI's `error` added, whose message OpenAI clients display."""
        response = super().handle_exception(exc)
        problem: Any = response.data
        words = " ".join(
            [problem["detail"], *(f"{error['pointer']} {error['detail']}" for error in problem.get("errors", ()))]
        )
        kind = problem["type"].rpartition(":")[2]
        problem["error"] = {"message": words, "type": kind, "param": None, "code": kind}
        return response

    @extend_schema(
        operation_id="openai_moderations",
        request=shapes.OpenAIInput,
        responses=answers({200: shapes.OpenAIOutput}, 404, 422, 429, 503),
        description="OpenAI's moderation endpoint: point its client here. Beside its names the categories "
        "hold the policy's "
        "codes, and `harmful` for all harm.",
    )
    def post(self, request: Request) -> Response:
        body, errors = _object(request.data, OPENAI_FIELDS)
        contents = read_input(body.get("input"), errors)
        reasoning = _boolean(body, "reasoning", False, errors)
        mode = mode_of(str(body.get("model") or "guard"))
        if mode is None:
            errors.append(FieldError("/model", "is not served. Use guard or guard-fast."))
        _refuse(errors)
        wanted = JudgeRequest(tuple(contents), mode or Mode.FULL, seconds=settings.MODERATION_SECONDS)
        try:
            done = moderate(request=wanted, key=_key(request), actor=actor_of(request), caller=connection_of(request))
        except ContentNotReadable as error:
            words = "The input is too long." if error.medium is None else "An image cannot be read."
            raise BodyNotValid(words, [FieldError("/input", str(error))], more=error.counts) from error
        _ring_for(done)
        thresholds = thresholds_now()
        codes = tuple(category.code for category in policy_categories(active_policy_version()))
        return Response(
            {
                "id": done[0].id,
                "model": done[0].answer.version,
                "results": [as_openai(one, thresholds, codes, reasoning=reasoning) for one in done],
            }
        )


class StreamView(APIView):
    streams_body = True
    permission_classes = [needs_scope(ApiScope.MODERATE)]
    content_negotiation_class = TakesAnyAccept

    @extend_schema(
        operation_id="moderate_stream",
        request={"application/x-ndjson": OpenApiTypes.STR},
        responses=answers({}, 422) | {(200, "application/x-ndjson"): shapes.StreamLine},
        description="Lines of JSON both ways. First {prompt, mode, every, deadline_ms}, then {text} for each piece of "
        "the response as "
        f"it is written. Each {EVERY} characters (`every`) are answered by a line; a block is the last one, and "
        "so is the line "
        "after the body's end. Send the body chunked to be answered before its end.",
    )
    def post(self, request: Request) -> StreamingHttpResponse:
        lines = lines_of(request._request, longest=LONGEST_LINE)
        body, errors = _object(read_json(next(lines, b"null")), STREAM_FIELDS)
        prompt = body.get("prompt", "")
        if not isinstance(prompt, str) or len(prompt) > MAX_TEXT_CHARACTERS:
            errors.append(FieldError("/prompt", f"must be text of at most {MAX_TEXT_CHARACTERS:,} characters."))
        wanted = StreamRequest(
            prompt,
            _mode(body, errors, Mode.FAST),
            _seconds(body, errors),
            _number(body, "every", EVERY, FEWEST_EVERY, MAX_TEXT_CHARACTERS, errors),
        )
        _refuse(errors)
        found = check_stream(
            request=wanted,
            pieces=_pieces(lines),
            key=_key(request),
            actor=actor_of(request),
            caller=connection_of(request),
        )
        response = StreamingHttpResponse(_lines(found, request.path), content_type="application/x-ndjson")
        response["X-Accel-Buffering"] = "no"
        return response


def _lines(found: Iterator[Checked], path: str) -> Iterator[bytes]:
    """The response as JSON lines; a problem is the last line, because the status is already sent."""
    try:
        for checked in found:
            _ring_for([checked.outcome])
            yield _line({"characters": checked.characters, **_action(checked.outcome), "last": checked.last})
    except (ServiceError, BodyNotValid, ParseError) as error:
        yield _line({"problem": problem_of(error).as_json(path)})
    except ResponseTooLong as error:
        yield _line({"problem": problem_of(BodyNotValid(str(error))).as_json(path)})


def _pieces(lines: Iterator[bytes]) -> Iterator[str]:
    for line in lines:
        given = read_json(line)
        if not isinstance(given, dict) or not isinstance(given.get("text"), str):
            raise BodyNotValid("A line cannot be taken.", [FieldError("", "must be an object with a text.")])
        yield given["text"]


def _line(content: dict[str, Any]) -> bytes:
    return orjson.dumps(content) + b"\n"


def _as_json(outcome: Moderated) -> dict[str, Any]:
    judged = outcome.answer.judged
    return {
        "id": outcome.id,
        **_action(outcome),
        **_rollout(judged.greedy),
        "windows": window_rows(judged.greedy),
        "rollouts": [_rollout(rollout) for rollout in judged.sampled],
    }


def _action(outcome: Moderated) -> dict[str, Any]:
    return {
        "action": outcome.action,
        "because": outcome.because,
        "score": outcome.scores.harmful,
        "prompt_harm": outcome.scores.sure["prompt"].harm,
        "response_harm": outcome.scores.sure["response"].harm,
        "calibration": str(outcome.calibration) if outcome.calibration else None,
        "category_scores": outcome.scores.categories,
        "item": outcome.item,
    }


def _rollout(rollout: Rollout) -> dict[str, Any]:
    judgement = rollout.judgement
    prompt_label, response_label = labels_of(rollout)
    return {
        "parsed": judgement is not None,
        "prompt_label": prompt_label,
        "response_label": response_label,
        "categories": judgement.verdict.categories if judgement else (),
        "steps": judgement.steps if judgement else (),
        "prompt_score": rollout.prompt_score,
        "response_score": rollout.response_score,
    }


def _ring_for(done: list[Moderated]) -> None:
    if any(one.item is not None for one in done):
        transaction.on_commit(partial(ring, predict))


def _key(request: Request) -> ApiKey | None:
    return request.auth if isinstance(request.auth, ApiKey) else None


def _object(given: object, known: frozenset[str]) -> tuple[dict[str, Any], list[FieldError]]:
    if not isinstance(given, dict):
        raise BodyNotValid(NOT_TAKEN, [FieldError("", "must be an object.")])
    unknown = islice((name for name in given if name not in known), MOST_UNKNOWN)
    return given, [
        FieldError(f"/{name[:100]}", f"is not known. Known here: {', '.join(sorted(known))}.") for name in unknown
    ]


def _refuse(errors: list[FieldError]) -> None:
    if errors:
        raise BodyNotValid(NOT_TAKEN, errors)


def _mode(body: dict[str, Any], errors: list[FieldError], default: Mode = Mode.FULL) -> Mode:
    given = body.get("mode", default.value)
    if given not in shapes.MODES:
        errors.append(FieldError("/mode", f"is none of {', '.join(shapes.MODES)}."))
        return default
    return Mode(given)


def _number(body: dict[str, Any], name: str, default: int, least: int, most: int, errors: list[FieldError]) -> int:
    given = body.get(name, default)
    if type(given) is not int or not least <= given <= most:
        errors.append(FieldError(f"/{name}", f"must be a whole number from {least:,} to {most:,}."))
        return default
    return given


def _boolean(body: dict[str, Any], name: str, default: bool, errors: list[FieldError]) -> bool:
    given = body.get(name, default)
    if not isinstance(given, bool):
        errors.append(FieldError(f"/{name}", "must be true or false."))
        return default
    return given


def _seconds(body: dict[str, Any], errors: list[FieldError]) -> float:
    most = settings.MODERATION_SECONDS * 1_000
    return _number(body, "deadline_ms", most, 1, most, errors) / 1_000
