"""Asks of many callers become few calls of the engine, and each caller gets its own answer in time or a word why not."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from guardapp.guard.batching import Batcher, Pace, QueueFull, Stopped, TooLate
from guardapp.guard.judging import Ask, Mode
from guardapp.guard.verdict import Sample

SOON = 30.0


class Bad(Exception):
    """One sample cannot be judged."""


@dataclass
class Guard:
    """Answers with the prompt in capitals; holds its breath while `closed`."""

    batches: list[list[str]] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)

    def __call__(self, asks: Sequence[Ask]) -> list[str]:
        self.open.wait(SOON)
        self.batches.append([ask.sample.prompt for ask in asks])
        if any(ask.sample.prompt == "bad" for ask in asks):
            raise Bad
        return [ask.sample.prompt.upper() for ask in asks]


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


def asks(*prompts: str, mode: Mode = Mode.FULL, rollouts: int = 0) -> list[Ask]:
    return [Ask(Sample(prompt, prompt), mode, rollouts) for prompt in prompts]


def in_time() -> float:
    return time.monotonic() + SOON


def held(guard: Guard, batcher: Batcher[str]) -> None:
    """The guard is busy with one ask, so that the next ones gather."""
    guard.open.clear()
    batcher.submit(asks("first"), deadline=in_time())
    deadline = in_time()
    while batcher.waiting:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_comes_while_the_guard_is_busy_is_put_together(guard: Guard, batcher: Batcher[str]) -> None:
    held(guard, batcher)
    futures = [batcher.submit(asks(word), deadline=in_time())[0] for word in ("a", "b", "c", "d", "e")]
    guard.open.set()
    assert [future.result(SOON) for future in futures] == ["A", "B", "C", "D", "E"]
    assert guard.batches == [["first"], ["a", "b", "c", "d"], ["e"]]


def test_asks_of_different_kinds_are_never_mixed(guard: Guard, batcher: Batcher[str]) -> None:
    held(guard, batcher)
    futures = [*batcher.submit(asks("a"), deadline=in_time()), *batcher.submit(asks("b", mode=Mode.FAST), deadline=in_time()),
               *batcher.submit(asks("c", rollouts=2), deadline=in_time()), *batcher.submit(asks("d"), deadline=in_time())]
    guard.open.set()
    assert [future.result(SOON) for future in futures] == ["A", "B", "C", "D"]
    assert sorted(guard.batches[1:]) == [["a", "d"], ["b"], ["c"]]


def test_a_bad_ask_takes_no_neighbour_with_it(guard: Guard, batcher: Batcher[str]) -> None:
    held(guard, batcher)
    good, bad, also = batcher.submit(asks("good", "bad", "also"), deadline=in_time())
    guard.open.set()
    assert (good.result(SOON), also.result(SOON)) == ("GOOD", "ALSO")
    with pytest.raises(Bad):
        bad.result(SOON)


def test_more_than_the_limit_is_refused_whole_and_told_when_to_come_back(guard: Guard, batcher: Batcher[str]) -> None:
    held(guard, batcher)
    taken = batcher.submit(asks(*"abcdef"), deadline=in_time())
    with pytest.raises(QueueFull) as refused:
        batcher.submit(asks(*"xyz"), deadline=in_time())
    assert refused.value.retry_after_s >= 1 and batcher.waiting == 6
    guard.open.set()
    assert len([future.result(SOON) for future in taken]) == 6
    assert not any("x" in batch for batch in guard.batches)


def test_what_is_too_late_or_given_up_is_not_asked(guard: Guard, batcher: Batcher[str]) -> None:
    held(guard, batcher)
    [late] = batcher.submit(asks("late"), deadline=time.monotonic())
    [given_up] = batcher.submit(asks("given up"), deadline=in_time())
    [wanted] = batcher.submit(asks("wanted"), deadline=in_time())
    assert given_up.cancel()
    guard.open.set()
    assert wanted.result(SOON) == "WANTED"
    with pytest.raises(TooLate):
        late.result(SOON)
    assert guard.batches == [["first"], ["wanted"]]


def test_a_fault_of_the_program_is_told_and_the_guard_goes_on(guard: Guard) -> None:
    def fail(asks: Sequence[Ask]) -> list[str]:
        raise ZeroDivisionError

    broken = Batcher(fail, failures=(Bad,))
    with pytest.raises(ZeroDivisionError):
        broken.submit(asks("a"), deadline=in_time())[0].result(SOON)
    with pytest.raises(ZeroDivisionError):
        broken.submit(asks("b"), deadline=in_time())[0].result(SOON)
    broken.stop()


def test_stopping_answers_what_is_under_way_and_refuses_the_rest(guard: Guard) -> None:
    batcher = Batcher(guard, failures=(Bad,), size=4)
    held(guard, batcher)
    [waiting] = batcher.submit(asks("waiting"), deadline=in_time())
    stopper = threading.Thread(target=batcher.stop)
    stopper.start()
    with pytest.raises(Stopped):
        waiting.result(SOON)
    guard.open.set()
    stopper.join(SOON)
    assert not stopper.is_alive()
    with pytest.raises(Stopped):
        batcher.submit(asks("more"), deadline=in_time())


def test_several_workers_ask_a_server_at_once(guard: Guard) -> None:
    batcher = Batcher(guard, failures=(Bad,), size=1, workers=3)
    guard.open.clear()
    futures = batcher.submit(asks("a", "b", "c"), deadline=in_time())
    deadline = in_time()
    while batcher.waiting:
        assert time.monotonic() < deadline, "one worker holds the others up"
        time.sleep(0.005)
    guard.open.set()
    assert [future.result(SOON) for future in futures] == ["A", "B", "C"]
    batcher.stop()


def test_halves_are_put_where_they_cost_little_and_never_where_time_is_that_of_a_batch() -> None:
    cpu, gpu = Pace(), Pace()
    for size in (32, 16, 8):
        cpu.note(size, 0.06 + 0.02 * size)
        gpu.note(size, 2.0 + 0.001 * size)
    assert cpu.halves_cost_little(32) and not gpu.halves_cost_little(32)
    unknown = Pace()
    assert not unknown.halves_cost_little(32)
    unknown.note(32, 1.0)
    assert unknown.halves_cost_little(32)  # once, to learn it


def test_where_halves_cost_little_one_is_judged_while_the_other_callers_come_back(guard: Guard, batcher: Batcher[str]) -> None:
    for words in ("abcd", "efgh"):  # the first time nothing is known of batches of four
        held(guard, batcher)
        futures = batcher.submit(asks(*words), deadline=in_time())
        guard.open.set()
        assert [future.result(SOON) for future in futures] == [word.upper() for word in words]
    assert guard.batches == [["first"], [*"abcd"], ["first"], [*"efg"], ["h"]]
