"""Work whose caller has left ends within a second: real processes, the starter guard, and its processor time."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from annotation.moderation.callers import Watch, has_left
from guardapp.guard.engines.hf.hf_engine import HfEngine
from guardapp.guard.protocol import NobodyWaits, Order
from guardapp.guard.verdict import Decoding, Rollout, Sample
from tests.annotation.moderation.site import Site, site

__all__ = ["site"]

# three windows: many seconds of work
LONG = "A mad text without any end. " * 2_600
TICKS = os.sysconf("SC_CLK_TCK")


def processor_s(pid: int) -> float:
    """The processor time of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def works(site: Site, seconds: float) -> float:
    """The share of this time in which the guard works."""
    before = processor_s(site.guard.pid)
    time.sleep(seconds)
    return (processor_s(site.guard.pid) - before) / seconds


def ask(site: Site, **more: object) -> Callable[[], None]:
    """Ask for a long text. Returns the function that hangs up."""
    connection = site.connect()
    body = json.dumps({"contents": [{"prompt": LONG}], "deadline_ms": 30_000, **more})
    connection.request("POST", "/api/v1/moderate", body, site.headers("application/json"))
    deadline = time.monotonic() + 20
    while works(site, 0.5) < 0.2:
        assert time.monotonic() < deadline, "the guard begins"
    return connection.close


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("more", [{}, {"rollouts": 2}], ids=["greedy", "with rollouts"])
def test_the_guard_stops_within_a_second_after_its_caller_has_hung_up(site: Site, more: dict[str, object]) -> None:
    hang_up = ask(site, **more)
    hang_up()
    time.sleep(1.0)
    assert works(site, 1.5) < 0.1
    assert site.moderate("Hello")[0] == 200


@pytest.mark.slow
@pytest.mark.faults
def test_the_guard_stops_within_a_second_after_the_deadline(site: Site) -> None:
    body = {"deadline_ms": 1_500}
    began = time.monotonic()
    status, problem = site.moderate(LONG, **body)
    assert (status, problem["type"]) == (503, "urn:guardapp:problem:guard_too_slow")
    assert time.monotonic() - began < 3
    time.sleep(1.0)
    assert works(site, 1.5) < 0.1


@pytest.mark.slow
@pytest.mark.faults
def test_the_guard_stops_within_a_second_after_the_web_was_killed(site: Site) -> None:
    ask(site)
    assert site.web is not None
    workers = Path(f"/proc/{site.web.pid}/task/{site.web.pid}/children").read_text().split()
    for worker in workers:
        os.kill(int(worker), signal.SIGKILL)
    time.sleep(1.0)
    assert works(site, 1.5) < 0.1
    deadline = time.monotonic() + 60
    while True:
        try:
            assert site.moderate("Hello")[0] == 200
            return
        except OSError:
            assert time.monotonic() < deadline


def test_generation_ends_between_two_tokens(starter: HfEngine) -> None:
    asked: list[float] = []

    def wanted() -> bool:
        asked.append(time.monotonic())
        return len(asked) < 40

    with pytest.raises(NobodyWaits):
        starter.generate([Sample("a", "Hello")], Decoding(max_new_tokens=200, temperature=1.0, n=2, wanted=wanted))
    assert len(asked) == 40
    assert starter.generate([Sample("a", "Hello")], Decoding(max_new_tokens=4))[0][0].tokens


def test_an_order_that_is_left_goes_and_its_neighbours_stay(starter: HfEngine) -> None:
    left = False

    def more(room: int) -> list[Order]:
        nonlocal left
        left = True
        return []

    orders = [
        Order(Sample("short", "How do I bake bread?"), 64, wanted=lambda: not left),
        Order(Sample("long", LONG[:12_000]), 64, wanted=lambda: not left),
        Order(Sample("stays", "How do I bake cake?"), 64),
    ]
    answers = dict(starter.flow(orders, more))
    assert isinstance(answers[0], NobodyWaits) and isinstance(answers[1], NobodyWaits)
    assert isinstance(answers[2], Rollout) and answers[2].finished
    alone = starter.generate([orders[2].sample], Decoding(max_new_tokens=64))[0][0]
    assert answers[2].completion == alone.completion


def test_a_closed_connection_is_noticed_and_told_once() -> None:
    ours, theirs = socket.socketpair()
    told: list[str] = []
    watch = Watch(told.append)
    with watch.over("one", ours):
        theirs.send(b"more of the next request")
        time.sleep(0.5)
        assert not has_left(ours) and told == []
        ours.recv(100)
        theirs.close()
        deadline = time.monotonic() + 5
        while not told and time.monotonic() < deadline:
            time.sleep(0.05)
    assert told == ["one"] and has_left(ours)
    ours.close()
    assert has_left(ours)
    with watch.over("two", None):
        pass
