"""The guard in the guard process: the production version judges contents, batched across callers."""

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.db import close_old_connections, connection, connections

from annotation.models import ModelVersion
from annotation.moderation.guard_client import ContentNotReadable
from annotation.moderation.guard_wire import Content, GuardAnswer, JudgeRequest
from annotation.predictions.active_policy import policy_codes, policy_for, policy_text
from annotation.predictions.loaded_engine import engine_for, engine_or_former
from annotation.predictions.predict import ENGINE_FAILURES
from annotation.predictions.production import production_version
from annotation.predictions.shared_device import DeviceInTraining, leave, on_device
from guardapp.guard.batching import Batcher, More, TooLate
from guardapp.guard.judging import SampleRequest, judge_as_they_come
from guardapp.guard.media.decode import PRESETS, Job, MediaError, decode_many
from guardapp.guard.protocol import Engine, SampleTooLong
from guardapp.guard.verdict import ContextMessage, Sample, SeenMedia

logger = logging.getLogger(__name__)


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
        self._batcher = Batcher(
            self._answer,
            failures=ENGINE_FAILURES,
            size=settings.SERVING_BATCH,
            limit=settings.SERVING_QUEUE,
            workers=workers,
            ended=connections.close_all,
        )

    def judge(self, request: JudgeRequest) -> list[GuardAnswer]:
        """Judge the contents, and return the answers in order.

        Raises QueueFull, TooLate, Stopped, DeviceInTraining, ContentNotReadable and ENGINE_FAILURES.
        """
        deadline = time.monotonic() + request.seconds
        with samples_of(request.contents) as samples:
            requests = [SampleRequest(sample, request.mode, request.rollouts) for sample in samples]
            futures = self._batcher.submit(requests, deadline=deadline)
            try:
                return [_answer_of(future, at, deadline) for at, future in enumerate(futures)]
            finally:
                for future in futures:
                    future.cancel()

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

    def _judged(self, requests: Sequence[SampleRequest], more: More) -> Iterator[tuple[int, GuardAnswer | Exception]]:
        """Judge a batch. Requests that join later use the version and policy it started with."""
        with self._loading:
            version, engine = engine_or_former(production_version(), self._engine_of)
        policy = policy_for(version)
        text, codes = policy_text(policy) if policy else None, policy_codes(policy)

        def with_policy(requests: Sequence[SampleRequest]) -> list[SampleRequest]:
            return [
                replace(request, sample=replace(request.sample, policy_text=text, codes=codes)) for request in requests
            ]

        for number, judged in judge_as_they_come(
            engine, with_policy(requests), lambda room: with_policy(more(room)), max_new_tokens=settings.MAX_NEW_TOKENS
        ):
            self._version = version.name
            yield (
                number,
                judged
                if isinstance(judged, Exception)
                else GuardAnswer(judged, version.name, str(policy) if policy else None),
            )


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


def _answer_of(future: Future[GuardAnswer], at: int, deadline: float) -> GuardAnswer:
    try:
        return future.result(max(0.0, deadline - time.monotonic()))
    except SampleTooLong as error:
        raise ContentNotReadable(str(error), at) from error
    except TimeoutError:
        raise TooLate(TooLate.__doc__) from None
