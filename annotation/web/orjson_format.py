"""JSON parsing and rendering for the API, with orjson."""

import re
from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from annotation.database.storable import DEEPEST, why_not_json
from annotation.ingest.row_json import read_json_rows
from annotation.ingest.values import FieldError
from annotation.web.problems import BodyNotValid, BodyTooLarge

MOST_DISCARDED_BYTES = 256 * 1024 * 1024
_MANY_DIGITS = re.compile(rb"[0-9]{19}")
OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z


class OrjsonRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        if data is None:
            return b""
        return orjson.dumps(data, default=str, option=OPTIONS)


class OrjsonParser(BaseParser):
    """Parses application/json up to DATA_UPLOAD_MAX_MEMORY_SIZE; rejects longer bodies without storing them."""

    media_type = "application/json"
    renderer_class = OrjsonRenderer

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        request = (parser_context or {}).get("request")
        if request is not None and int(request.META.get("CONTENT_LENGTH") or 0) > limit:
            discard(stream)
            raise BodyTooLarge
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge
        return self.read(body)

    def read(self, body: bytes) -> Any:
        value = read_json(body)
        # rare enough in bodies of this kind for the walk to cost nothing
        if _MANY_DIGITS.search(body) or body.count(b"[") + body.count(b"{") > DEEPEST:
            refuse_unstorable(value)
        return value


class RowsParser(OrjsonParser):
    """Parses rows that are validated one by one, so that an invalid row does not reject the others.

    Accepts NaN, lone surrogates and invalid UTF-8; annotation.database.storable reports them.
    """

    def read(self, body: bytes) -> Any:
        return read_rows(body)


def refuse_unstorable(value: Any) -> None:
    """Refuse numbers of more than 64 bits and deep nesting, by the field. Raises BodyNotValid."""
    if (found := why_not_json(value)) is not None:
        raise BodyNotValid("The body cannot be taken.", [FieldError(found.pointer, found.detail)])


def discard(stream: IO[Any]) -> None:
    """Read and discard a rejected body, up to MOST_DISCARDED_BYTES.

    Otherwise a client that is still sending would see a broken connection instead of the response.
    """
    left = MOST_DISCARDED_BYTES
    while left > 0 and (piece := stream.read(1 << 20)):
        left -= len(piece)


def read_json(body: bytes | str) -> Any:
    """Parse JSON. Raises ParseError with the position of the error."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ParseError(f"The body is not JSON: {error}") from error


def read_rows(body: bytes | str) -> Any:
    """Parse JSON rows with annotation.ingest.row_json. Raises ParseError."""
    try:
        return read_json_rows(body)
    except ValueError as error:
        raise ParseError(f"The body is not JSON: {error}") from error
