"""Helpers for API views to read requests."""

import socket

from rest_framework.request import Request

from annotation.ingest.read_rows import MAX_SOURCE
from annotation.ingest.values import FieldError
from annotation.models import User
from annotation.web.problems import BodyNotValid


def actor_of(request: Request) -> User:
    """The user authenticated by the key or the session."""
    assert isinstance(request.user, User)
    return request.user


def connection_of(request: Request) -> socket.socket | None:
    """The connection of whoever waits for the answer, where the server tells it: gunicorn does."""
    found = request._request.META.get("gunicorn.socket")
    return found if isinstance(found, socket.socket) else None


def query_value(request: Request, name: str) -> str:
    """A query parameter, or "" if it is missing. Raises BodyNotValid."""
    value: str = request.query_params.get(name, "")
    if len(value) > MAX_SOURCE or "\x00" in value:
        raise BodyNotValid(
            "A parameter cannot be taken.", [FieldError(f"/{name}", f"takes at most {MAX_SOURCE} characters, no NUL.")]
        )
    return value
