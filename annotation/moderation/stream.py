"""A response checked while it is written: after every so many characters the guard judges what is there so far."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from annotation.database.pool import release_connection
from annotation.ingest.values import MAX_TEXT_CHARACTERS
from annotation.models import ApiKey, User
from annotation.moderation.guard_wire import Content, JudgeRequest
from annotation.moderation.moderate import Moderated, moderate
from guardapp.guard.actions import GRAVITY, Action
from guardapp.guard.judging import Mode

# characters of the response that the guard sees: the newest, so that each check costs the same
WINDOW = 8_000
EVERY, FEWEST_EVERY = 400, 50  # characters between two checks


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """How a response is to be checked. `seconds` is the deadline of each check."""

    prompt: str
    mode: Mode
    seconds: float
    every: int = EVERY


@dataclass(frozen=True, slots=True)
class Checked:
    """What the guard said of the first `characters` of the response. `last`: nothing more is checked."""

    characters: int
    outcome: Moderated
    last: bool = False


class ResponseTooLong(ValueError):
    """A response has at most MAX_TEXT_CHARACTERS characters."""


def check_stream(
    *, request: StreamRequest, pieces: Iterable[str], key: ApiKey | None = None, actor: User | None = None
) -> Iterator[Checked]:
    """Ends where the response does, or at the first block. Of a response that people are to decide about one item is
    opened, at the end.

    Raises what `moderate` raises, and ResponseTooLong.
    """
    release_connection()  # the response may be written for minutes
    text, checked = "", 0
    gravest: Checked | None = None
    for piece in pieces:
        text += piece
        if len(text) > MAX_TEXT_CHARACTERS:
            raise ResponseTooLong(f"A response has at most {MAX_TEXT_CHARACTERS:,} characters.")
        if len(text) - checked < request.every:
            continue
        checked = len(text)
        found = Checked(checked, _judged(request, text))
        gravest = _graver(gravest, found)
        if found.outcome.action is Action.BLOCK:
            yield replace(found, last=True)
            return
        yield found
    if gravest is None or checked < len(text):
        gravest = _graver(gravest, Checked(len(text), _judged(request, text)))
    if gravest.outcome.action is Action.REVIEW:
        gravest = replace(gravest, outcome=_judged(request, text[: gravest.characters], key, actor, open_items=True))
    yield replace(gravest, characters=len(text), last=True)


def _graver(one: Checked | None, other: Checked) -> Checked:
    return other if one is None or GRAVITY[other.outcome.action] >= GRAVITY[one.outcome.action] else one


def _judged(
    request: StreamRequest, text: str, key: ApiKey | None = None, actor: User | None = None, *, open_items: bool = False
) -> Moderated:
    content = Content(request.prompt, text[-WINDOW:])
    [outcome] = moderate(
        request=JudgeRequest((content,), request.mode, seconds=request.seconds),
        key=key,
        actor=actor,
        open_items=open_items,
    )
    return outcome
