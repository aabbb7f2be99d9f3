"""Moderation of a response while it is being written: at regular intervals the guard judges the text so far."""

import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from annotation.database.pool import release_connection
from annotation.ingest.values import MAX_TEXT_CHARACTERS
from annotation.models import ApiKey, User
from annotation.moderation.guard_wire import Content, JudgeRequest
from annotation.moderation.moderate import Moderated, moderate
from guardapp.guard.actions import GRAVITY, Action
from guardapp.guard.judging import Mode

# the guard only sees this many of the latest characters, so that each check costs the same
WINDOW = 8_000
EVERY, FEWEST_EVERY = 400, 50  # characters between checks


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """Options for checking a response. `seconds` is the time limit of each check."""

    prompt: str
    mode: Mode
    seconds: float
    every: int = EVERY


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome for the first `characters` of the response. `last` marks the final check."""

    characters: int
    outcome: Moderated
    last: bool = False


class ResponseTooLong(ValueError):
    """A response has at most MAX_TEXT_CHARACTERS characters."""


def check_stream(
    *,
    request: StreamRequest,
    pieces: Iterable[str],
    key: ApiKey | None = None,
    actor: User | None = None,
    caller: socket.socket | None = None,
) -> Iterator[Checked]:
    """Yield an outcome per check, until the response ends or is blocked.

    If the response needs review, one item is created at the end. Raises ResponseTooLong and the errors of `moderate`.
    """
    release_connection()  # the response may take minutes to write
    text, checked = "", 0
    gravest: Checked | None = None
    for piece in pieces:
        text += piece
        if len(text) > MAX_TEXT_CHARACTERS:
            raise ResponseTooLong(f"A response has at most {MAX_TEXT_CHARACTERS:,} characters.")
        if len(text) - checked < request.every:
            continue
        checked = len(text)
        found = Checked(checked, _judged(request, text, caller=caller))
        gravest = _graver(gravest, found)
        if found.outcome.action is Action.BLOCK:
            yield replace(found, last=True)
            return
        yield found
    if gravest is None or checked < len(text):
        gravest = _graver(gravest, Checked(len(text), _judged(request, text, caller=caller)))
    if gravest.outcome.action is Action.REVIEW:
        gravest = replace(gravest, outcome=_judged(request, text[: gravest.characters], key, actor, open_items=True))
    yield replace(gravest, characters=len(text), last=True)


def _graver(one: Checked | None, other: Checked) -> Checked:
    return other if one is None or GRAVITY[other.outcome.action] >= GRAVITY[one.outcome.action] else one


def _judged(
    request: StreamRequest,
    text: str,
    key: ApiKey | None = None,
    actor: User | None = None,
    *,
    open_items: bool = False,
    caller: socket.socket | None = None,
) -> Moderated:
    content = Content(request.prompt, text[-WINDOW:])
    [outcome] = moderate(
        request=JudgeRequest((content,), request.mode, seconds=request.seconds),
        key=key,
        actor=actor,
        open_items=open_items,
        caller=caller,
    )
    return outcome
