"""The guard in the guard process: the production version judges contents, batched across callers."""

import logging
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.db import close_old_connections, connection, connections

from annotation.models import ModelVersion
from annotation.moderation.callers import EVERY_S
from annotation.moderation.guard_client import ContentNotReadable
from annotation.moderation.guard_wire import Content, GuardAnswer, JudgeRequest
from annotation.predictions.active_policy import policy_codes, policy_for, policy_text
from annotation.predictions.loaded_engine import engine_for, engine_or_former
from annotation.predictions.predict import ENGINE_FAILURES
from annotation.predictions.production import production_version
from annotation.predictions.shared_device import DeviceInTraining, leave, on_device
from annotation.predictions.windows import windowing
from guardapp.guard.batching import Abandoned, Batcher, More, TooLate
from guardapp.guard.judging import SampleRequest, judge_as_they_come
from guardapp.guard.media.decode import PRESETS, Job, MediaError, decode_many
from guardapp.guard.protocol import Engine, SampleTooLong
from guardapp.guard.verdict import ContextMessage, Sample, SeenMedia
from guardapp.guard.windows import reading_windows, why_too_long

logger = logging.getLogger(__name__)

SHORT = 1_000  # characters of a text that is not counted before it waits


@dataclass(frozen=True, slots=True)
class Health:
    """The state of the guard. `version` is the one last used, or "" before the first answer."""

    version: str
    waiting: int


class Guarding:
    """A loaded guard shared by all callers. Thread-safe.

    A promotion takes effect at the next batch, or after LONGEST_JOINED_S.
    """

    def __init__(self, engine_of: Callable[[ModelVersion], Engine] = engine_for, workers: int = 1) -> None:
        self._engine_of = engine_of
        self._loading = threading.Lock()
        self._version = ""
        self._callers: dict[str, threading.Event] = {}
        self._counting = threading.Lock()
        self._counter: tuple[weakref.ref[Engine], str | None] | None = None
        self._batcher = Batcher(
            self._answer,
            failures=ENGINE_FAILURES,
            size=settings.SERVING_BATCH,
            limit=settings.SERVING_QUEUE,
            workers=workers,
            ended=connections.close_all,
        )

    def judge(self, request: JudgeRequest, gone: Callable[[], bool] = lambda: False) -> list[GuardAnswer]:
        """Judge the contents, and return the answers in order. `gone` is asked whether the caller has left.

        Work for a caller that has left, or whose deadline has passed, ends between two tokens.

        Raises QueueFull, TooLate, Stopped, Abandoned, DeviceInTraining, ContentNotReadable and ENGINE_FAILURES.
        """
        deadline = time.monotonic() + request.seconds
        left = self._callers.setdefault(request.id, threading.Event())
        try:
            with samples_of(request.contents) as samples:
                requests = [
                    SampleRequest(sample, request.mode, request.rollouts, lambda: not left.is_set())
                    for sample in samples
                ]
                self._refuse_too_long(requests)
                futures = self._batcher.submit(requests, deadline=deadline)
                try:
                    return [
                        replace(_answer_of(future, at, deadline, left, gone), unseen=_unseen(samples[at]))
                        for at, future in enumerate(futures)
                    ]
                finally:
                    # of one refused content the others are not wanted either
                    left.set()
                    for future in futures:
                        future.cancel()
        finally:
            del self._callers[request.id]

    def leave(self, id: str) -> None:
        """The caller of this request has left."""
        if (left := self._callers.get(id)) is not None:
            left.set()

    def preload(self) -> None:
        """Load the guard before the first request. Errors are logged here and reported by that request."""
        try:
            with on_device(self.preload), self._loading:
                self._engine_of(production_version())
        except DeviceInTraining:
            logger.info("The guard is loaded when its device is back")
        except (ModelVersion.DoesNotExist, *ENGINE_FAILURES):
            logger.exception("The guard could not be loaded")
        finally:
            connection.close()

    def health(self) -> Health:
        return Health(self._version, self._batcher.waiting)

    def stop(self) -> None:
        self._batcher.stop()
        leave()

    def _answer(self, requests: Sequence[SampleRequest], more: More) -> Iterator[tuple[int, GuardAnswer | Exception]]:
        close_old_connections()
        with on_device(self.preload):
            yield from self._judged(requests, more)

    def _refuse_too_long(self, requests: Sequence[SampleRequest]) -> None:
        """Refuse in the caller's own thread, before anything waits for it. Raises ContentNotReadable.

        Before the first batch the guard is not loaded; that batch refuses by itself.
        """
        engine = self._counter and self._counter[0]()
        if engine is None or self._counter is None:
            return
        reader = reading_windows(engine, windowing())
        for at, request in enumerate(requests):
            sample = replace(request.sample, policy_text=self._counter[1])
            if len(sample.prompt) + len(sample.response or "") < SHORT and not sample.media:
                continue
            # one at a time: many callers with long texts must not take the processors from the others
            with self._counting:
                error = why_too_long(reader, sample, request.new_tokens(settings.MAX_NEW_TOKENS))
            if error is not None:
                raise too_long(error, at)

    def _judged(self, requests: Sequence[SampleRequest], more: More) -> Iterator[tuple[int, GuardAnswer | Exception]]:
        """Judge a batch. Requests that join later use the version and policy it started with."""
        with self._loading:
            version, engine = engine_or_former(production_version(), self._engine_of)
        policy = policy_for(version)
        text, codes = policy_text(policy) if policy else None, policy_codes(policy)
        self._counter = weakref.ref(engine), text

        def with_policy(requests: Sequence[SampleRequest]) -> list[SampleRequest]:
            return [
                replace(request, sample=replace(request.sample, policy_text=text, codes=codes)) for request in requests
            ]

        for number, judged in judge_as_they_come(
            engine,
            with_policy(requests),
            lambda room: with_policy(more(room)),
            max_new_tokens=settings.MAX_NEW_TOKENS,
            windowing=windowing(),
        ):
            self._version = version.name
            yield (
                number,
                judged
                if isinstance(judged, Exception)
                else GuardAnswer(judged, version.name, str(policy) if policy else None),
            )


def _unseen(sample: Sample) -> int:
    return sum(medium.unseen for medium in sample.media)


@contextmanager
def samples_of(contents: Sequence[Content]) -> Iterator[list[Sample]]:
    """Provide samples, whose frames exist for the duration of the context. Raises ContentNotReadable."""
    if not any(content.media for content in contents):
        yield [_sample(content) for content in contents]
        return
    with tempfile.TemporaryDirectory(prefix="guardapp-judge-") as folder:
        media = _decoded(contents, Path(folder))
        yield [_sample(content, seen) for content, seen in zip(contents, media, strict=True)]


def _sample(content: Content, media: tuple[SeenMedia, ...] = ()) -> Sample:
    context = tuple(ContextMessage.of(message) for message in content.messages)
    return Sample(uuid4().hex, content.prompt, content.response, media, context=context)


def _decoded(contents: Sequence[Content], folder: Path) -> list[tuple[SeenMedia, ...]]:
    places = [(at, number) for at, content in enumerate(contents) for number in range(len(content.media))]
    jobs = [Job(folder / f"{at}-{number}", folder / f"{at}-{number}.frames") for at, number in places]
    for (at, number), job in zip(places, jobs, strict=True):
        job.source.write_bytes(contents[at].media[number])
    seen: list[list[SeenMedia]] = [[] for _ in contents]
    for (at, number), decoded in zip(places, decode_many(jobs, PRESETS[settings.MEDIA_PRESET]), strict=True):
        if isinstance(decoded, MediaError):
            raise ContentNotReadable(str(decoded), at, number)
        seen[at].append(decoded.seen)
    return [tuple(one) for one in seen]


def _answer_of(
    future: Future[GuardAnswer], at: int, deadline: float, left: threading.Event, gone: Callable[[], bool]
) -> GuardAnswer:
    while (rest := deadline - time.monotonic()) > 0:
        try:
            return future.result(min(rest, EVERY_S))
        except SampleTooLong as error:
            raise too_long(error, at) from error
        except TimeoutError:
            if left.is_set() or gone():
                raise Abandoned(Abandoned.__doc__) from None
    raise TooLate(TooLate.__doc__)


def too_long(error: SampleTooLong, at: int) -> ContentNotReadable:
    return ContentNotReadable(str(error), at, tokens=error.tokens, limit=error.limit)
