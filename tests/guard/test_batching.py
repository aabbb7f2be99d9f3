"""Requests of many callers become few calls of the engine, and each caller gets its own answer in time or a word why
not.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from guardapp.guard import batching
from guardapp.guard.batching import Batcher, More, QueueFull, Stopped, TooLate
from guardapp.guard.judging import Mode, SampleRequest
from guardapp.guard.verdict import Sample

SOON = 30.0


class Bad(Exception):
    """One sample cannot be judged."""


@dataclass
class Guard:
    """Answers with the prompt in capitals; holds its breath while `closed`."""

    batches: list[list[str]] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)

    def __call__(self, requests: Sequence[SampleRequest], more: More) -> Iterator[tuple[int, str | Exception]]:
        self.open.wait(SOON)
        self.batches.append([request.sample.prompt for request in requests])
        if any(request.sample.prompt == "bad" for request in requests):
            raise Bad
        yield from enumerate(request.sample.prompt.upper() for request in requests)


@dataclass
class Flowing:
    """Answers one request after the other in the order they came, and takes newcomers in before each: they are held up
    until `step`.
    """

    room: int = 2
    heard: list[str] = field(default_factory=list)
    runs: int = 0
    step: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __call__(self, requests: Sequence[SampleRequest], more: More) -> Iterator[tuple[int, str | Exception]]:
        self.runs += 1
        known, at = list(requests), 0
        while at < len(known):
            assert self.step.acquire(timeout=SOON)
            known += more(self.room)
            word = known[at].sample.prompt
            self.heard.append(word)
            if word == "crash":
                raise Bad
            yield at, Bad() if word == "bad" else word.upper()
            at += 1


@pytest.fixture
def guard() -> Guard:
    made = Guard()
    made.open.set()
    return made


@pytest.fixture
def batcher(guard: Guard) -> Iterator[Batcher[str]]:
    made = Batcher(guard, failures=(Bad,), size=4, limit=8)
    yield made
    guard.open.set()
    made.stop()


def requests(*prompts: str, mode: Mode = Mode.FULL, rollouts: int = 0) -> list[SampleRequest]:
    return [SampleRequest(Sample(prompt, prompt), mode, rollouts) for prompt in prompts]


def in_time() -> float:
    return time.monotonic() + SOON


def held(guard: Guard, batcher: Batcher[str]) -> None:
    """The guard is busy with one request, so that the next ones gather."""
    guard.open.clear()
    batcher.submit(requests("first"), deadline=in_time())
    deadline = in_time()
    while batcher.waiting:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_comes_while_the_guard_is_busy_is_put_together(guard: Guard, batcher: Batcher[str]) -> None:
    held(guard, batcher)
    futures = [batcher.submit(requests(word), deadline=in_time())[0] for word in ("a", "b", "c", "d", "e")]
    guard.open.set()
    assert [future.result(SOON) for future in futures] == ["A", "B", "C", "D", "E"]
    assert guard.batches == [["first"], ["a", "b", "c", "d"], ["e"]]


def test_sampled_requests_are_never_mixed_with_others_and_either_mode_may_be(
    guard: Guard, batcher: Batcher[str]
) -> None:
    held(guard, batcher)
    futures = [
        *batcher.submit(requests("a"), deadline=in_time()),
        *batcher.submit(requests("b", mode=Mode.FAST, rollouts=2), deadline=in_time()),
        *batcher.submit(requests("c", rollouts=2), deadline=in_time()),
        *batcher.submit(requests("d"), deadline=in_time()),
    ]
    guard.open.set()
    assert [future.result(SOON) for future in futures] == ["A", "B", "C", "D"]
    assert guard.batches[1:] == [["a", "b", "d"], ["c"]]


def test_a_bad_request_takes_no_neighbour_with_it(guard: Guard, batcher: Batcher[str]) -> None:
    held(guard, batcher)
    good, bad, also = batcher.submit(requests("good", "bad", "also"), deadline=in_time())
    guard.open.set()
    assert (good.result(SOON), also.result(SOON)) == ("GOOD", "ALSO")
    with pytest.raises(Bad):
        bad.result(SOON)


def test_more_than_the_limit_is_refused_whole_with_the_time_to_come_back(guard: Guard, batcher: Batcher[str]) -> None:
    held(guard, batcher)
    taken = batcher.submit(requests(*"abcdef"), deadline=in_time())
    with pytest.raises(QueueFull) as refused:
        batcher.submit(requests(*"xyz"), deadline=in_time())
    assert refused.value.retry_after_s >= 1 and batcher.waiting == 6
    guard.open.set()
    assert len([future.result(SOON) for future in taken]) == 6
    assert not any("x" in batch for batch in guard.batches)


def test_what_is_too_late_or_given_up_is_not_judged(guard: Guard, batcher: Batcher[str]) -> None:
    held(guard, batcher)
    [late] = batcher.submit(requests("late"), deadline=time.monotonic())
    [given_up] = batcher.submit(requests("given up"), deadline=in_time())
    [wanted] = batcher.submit(requests("wanted"), deadline=in_time())
    assert given_up.cancel()
    guard.open.set()
    assert wanted.result(SOON) == "WANTED"
    with pytest.raises(TooLate):
        late.result(SOON)
    assert guard.batches == [["first"], ["wanted"]]


def test_a_fault_of_the_program_is_reported_and_the_guard_goes_on(guard: Guard) -> None:
    def fail(requests: Sequence[SampleRequest], more: More) -> Iterator[tuple[int, str | Exception]]:
        raise ZeroDivisionError

    broken = Batcher(fail, failures=(Bad,))
    with pytest.raises(ZeroDivisionError):
        broken.submit(requests("a"), deadline=in_time())[0].result(SOON)
    with pytest.raises(ZeroDivisionError):
        broken.submit(requests("b"), deadline=in_time())[0].result(SOON)
    broken.stop()


def test_stopping_answers_what_is_under_way_and_refuses_the_rest(guard: Guard) -> None:
    batcher = Batcher(guard, failures=(Bad,), size=4)
    held(guard, batcher)
    [waiting] = batcher.submit(requests("waiting"), deadline=in_time())
    stopper = threading.Thread(target=batcher.stop)
    stopper.start()
    with pytest.raises(Stopped):
        waiting.result(SOON)
    guard.open.set()
    stopper.join(SOON)
    assert not stopper.is_alive()
    with pytest.raises(Stopped):
        batcher.submit(requests("more"), deadline=in_time())


def test_several_workers_ask_a_server_at_once(guard: Guard) -> None:
    batcher = Batcher(guard, failures=(Bad,), size=1, workers=3)
    guard.open.clear()
    futures = batcher.submit(requests("a", "b", "c"), deadline=in_time())
    deadline = in_time()
    while batcher.waiting:
        assert time.monotonic() < deadline, "one worker holds the others up"
        time.sleep(0.005)
    guard.open.set()
    assert [future.result(SOON) for future in futures] == ["A", "B", "C"]
    batcher.stop()


@pytest.fixture
def flowing() -> Flowing:
    return Flowing()


@pytest.fixture
def joined(flowing: Flowing) -> Iterator[Batcher[str]]:
    made = Batcher(flowing, failures=(Bad,), size=4, limit=8)
    yield made
    flowing.step.release(1_000)
    made.stop()


def begun(flowing: Flowing, batcher: Batcher[str]) -> None:
    """One request is under way and held up."""
    batcher.submit(requests("first"), deadline=in_time())
    deadline = time.monotonic() + SOON
    while not flowing.runs:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_who_comes_while_the_guard_is_at_work_joins_as_far_as_there_is_room(
    flowing: Flowing, joined: Batcher[str]
) -> None:
    begun(flowing, joined)
    futures = joined.submit(requests("a", "b", "c"), deadline=in_time())
    flowing.step.release()
    deadline = time.monotonic() + SOON
    while joined.waiting != 1:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    flowing.step.release(3)
    assert [future.result(SOON) for future in futures] == ["A", "B", "C"]
    assert flowing.runs == 1


def test_nobody_overtakes_a_request_that_cannot_join(flowing: Flowing, joined: Batcher[str]) -> None:
    begun(flowing, joined)
    futures = [
        *joined.submit(requests("a", mode=Mode.FAST), deadline=in_time()),
        *joined.submit(requests("b", rollouts=2), deadline=in_time()),
        *joined.submit(requests("c"), deadline=in_time()),
    ]
    flowing.step.release(4)
    assert [future.result(SOON) for future in futures] == ["A", "B", "C"]
    assert flowing.heard == ["first", "a", "b", "c"] and flowing.runs == 3


def test_one_bad_newcomer_fails_alone(flowing: Flowing, joined: Batcher[str]) -> None:
    begun(flowing, joined)
    good, bad = joined.submit(requests("good", "bad"), deadline=in_time())
    flowing.step.release(3)
    assert good.result(SOON) == "GOOD"
    with pytest.raises(Bad):
        bad.result(SOON)
    assert flowing.runs == 1


def test_after_a_crash_who_was_not_answered_is_put_alone(flowing: Flowing, joined: Batcher[str]) -> None:
    begun(flowing, joined)
    crash, good = joined.submit(requests("crash", "good"), deadline=in_time())
    flowing.step.release(10)
    assert good.result(SOON) == "GOOD"
    with pytest.raises(Bad):
        crash.result(SOON)
    assert flowing.heard == ["first", "crash", "crash", "good"]


def test_who_has_given_up_or_is_late_does_not_join(flowing: Flowing, joined: Batcher[str]) -> None:
    begun(flowing, joined)
    [late] = joined.submit(requests("late"), deadline=time.monotonic())
    [given_up] = joined.submit(requests("given up"), deadline=in_time())
    assert given_up.cancel()
    flowing.step.release(2)
    with pytest.raises(TooLate):
        late.result(SOON)
    assert joined.submit(requests("next"), deadline=in_time())[0].result(SOON) == "NEXT"
    assert flowing.heard == ["first", "next"]


def test_stopping_lets_nobody_join(flowing: Flowing) -> None:
    batcher = Batcher(flowing, failures=(Bad,))
    [first] = batcher.submit(requests("first"), deadline=in_time())
    begun_at = time.monotonic()
    while not flowing.runs:
        assert time.monotonic() < begun_at + SOON
        time.sleep(0.005)
    stopper = threading.Thread(target=batcher.stop)
    [waiting] = batcher.submit(requests("waiting"), deadline=in_time())
    stopper.start()
    with pytest.raises(Stopped):
        waiting.result(SOON)
    flowing.step.release()
    assert first.result(SOON) == "FIRST"
    stopper.join(SOON)
    assert not stopper.is_alive() and flowing.heard == ["first"]


def test_a_batch_that_is_joined_for_long_ends_so_that_what_it_began_with_is_checked_anew(
    flowing: Flowing, joined: Batcher[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "LONGEST_JOINED_S", 0.0)
    begun(flowing, joined)
    futures = joined.submit(requests("a", "b"), deadline=in_time())
    flowing.step.release(3)
    assert [future.result(SOON) for future in futures] == ["A", "B"]
    assert flowing.runs == 2
