"""Multipart bodies whose files keep the names that the sender gave them.

Django keeps the last part of a path, decodes HTML entities and drops what cannot be printed, so that two files may end
up with one name. Rows name their media by the names that were sent.
"""

from typing import Any

from django.conf import settings
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from rest_framework.exceptions import ParseError
from rest_framework.parsers import DataAndFiles
from rest_framework.parsers import MultiPartParser as RestMultiPartParser

UNNAMED = "unnamed"


class _KeepingNames(MultiPartParser):
    """Sets `given_name` on each uploaded file."""

    _files: Any
    _given = ""

    def sanitize_file_name(self, file_name: str) -> str:
        self._given = file_name
        # without a name, Django would leave the file out
        return super().sanitize_file_name(file_name) or UNNAMED

    def handle_file_complete(self, old_field_name: str, counters: list[int]) -> None:
        before = {id(one) for one in self._all()}
        super().handle_file_complete(old_field_name, counters)
        for upload in self._all():
            if id(upload) not in before:
                upload.given_name = self._given

    def _all(self) -> list[Any]:
        return [upload for _, uploads in self._files.lists() for upload in uploads]


class MultiPartKeepingNames(RestMultiPartParser):
    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> "DataAndFiles[Any, Any]":
        request = parser_context["request"]
        meta = {**request.META, "CONTENT_TYPE": media_type}
        encoding = parser_context.get("encoding", settings.DEFAULT_CHARSET)
        try:
            return DataAndFiles(*_KeepingNames(meta, stream, request.upload_handlers, encoding).parse())
        except MultiPartParserError as error:
            raise ParseError(f"Multipart form parse error - {error}") from error
