"""What breaks around a team's installation while items come in, are predicted and are reviewed: nothing is lost,
nothing done twice.

In all of it the worker's clock is ten minutes ahead of the web's and the database's, and beat's is ten minutes behind.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import redis

from guardapp.supervisor.child import Program
from tests.absence import absent
from tests.faults.disks import Disk
from tests.faults.requests import half_way, ingest, moderate, page, picture, predicted, status_of
from tests.faults.servers import until
from tests.faults.stack import CELERY, Stack
from tests.faults.traffic import Traffic

pytestmark = [pytest.mark.faults, pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(400)]


def test_without_a_fault_everything_is_there_once(stack: Stack) -> None:
    with Traffic(stack, "calm", items=12) as traffic:
        pass
    traffic.check()


def test_clocks_ten_minutes_off_take_nothing_from_who_works(stack: Stack, skew: Path | None) -> None:
    if skew is None:
        absent("there is no C compiler to build the skewed clock with")
    stack.add(
        Program(
            "late",
            (
                *CELERY,
                "worker",
                "-Q",
                "inference,default",
                "-P",
                "solo",
                "-n",
                "late@%h",
                "-l",
                "INFO",
                "--without-gossip",
                "--without-mingle",
            ),
            stack.skewed(-600, skew) | {"SECONDS_A_SAMPLE": "0.5"},
            once=True,
        )
    )
    until(lambda: " ready." in stack.log("late"), 90, "the second worker")
    for attempt in range(5):  # the first worker may have done all before the second one asked
        with Traffic(stack, f"skewed-{attempt}", items=36, batch=12) as traffic:
            pass
        traffic.check()
        [(most,)] = stack.site.rows(f"SELECT max(attempts) FROM annotation_item WHERE source = 'skewed-{attempt}'")
        assert most == 1, "a claim was taken from a worker that still held it"
        if stack.log("late").count("annotation.tasks.predict") > 2:
            break
    else:
        pytest.fail("the second worker predicted nothing")
    stack.kill("late")


def test_the_web_killed_during_ingest_and_submit(stack: Stack) -> None:
    with Traffic(stack, "web-killed") as traffic:
        half_way(traffic)
        stack.kill("web")
        until(lambda: traffic.answers[0], 10, "somebody got no answer")
    traffic.check(patience=60)  # whoever is let in while it starts waits for it


def test_the_worker_killed_with_items_in_its_hands(stack: Stack) -> None:
    with Traffic(stack, "worker-killed") as traffic:
        until(lambda: traffic.census().by_status.get("predicting"), 30, "the worker holds items")
        stack.kill("worker")
    traffic.check()


def test_redis_flushed_while_items_are_queued(stack: Stack) -> None:
    with Traffic(stack, "flushed") as traffic:
        half_way(traffic)
        with redis.Redis(unix_socket_path=str(stack.redis.socket)) as client:
            client.flushall()
    traffic.check()
    assert traffic.problems == {}


def test_redis_silent_and_then_gone_while_items_come_in(stack: Stack) -> None:
    with Traffic(stack, "redis-gone") as traffic:
        half_way(traffic)
        stack.redis.stop_answering()
        began = time.monotonic()
        assert ingest(stack, {"id": "silent", "prompt": "while Redis is silent"}, source="silent").status == 202
        assert time.monotonic() - began < 8
        stack.redis.kill()
        stored = traffic.census().items
        until(
            lambda: traffic.census().items > stored or not traffic._threads[0].is_alive(),
            20,
            "items come in without Redis",
        )
        answer = stack.call("GET", "/readyz")
        assert (answer.status, answer.json["broker"]) == (200, "away")
        until(lambda: 'data-trouble="broker_away"' in page(stack).text, 30, "the pages name it")
        stack.redis.start()
    traffic.check()
    assert traffic.problems == {}
    until(lambda: status_of(stack, "silent")[0] != "pending", 30)
    until(lambda: "broker_away" not in page(stack).text, 30, "the pages are calm again")


def test_postgresql_restarted_during_ingest_predicting_and_review(stack: Stack) -> None:
    with Traffic(stack, "restarted") as traffic:
        half_way(traffic)
        stack.postgres.stop("immediate")
        answer = ingest(stack, {"id": "x", "prompt": "x"}, source="restarted-not")
        assert (answer.status, answer.headers["Content-Type"], answer.headers["Retry-After"]) == (
            503,
            "application/problem+json",
            "5",
        )
        assert answer.json["type"] == "urn:guardapp:problem:database_away"
        shown = page(stack)
        assert (shown.status, shown.headers["Retry-After"]) == (503, "5")
        assert "The database is away" in shown.text and '<meta http-equiv="refresh" content="5">' in shown.text
        assert "refresh" not in stack.call("POST", "/login/", {}).text
        assert stack.call("GET", "/healthz").status == 200
        assert stack.call("GET", "/readyz").json["database"] != "ok"
        time.sleep(2)
        stack.postgres.start()
    traffic.check()
    assert set(traffic.problems) <= {"database_away"}
    assert page(stack).status == 200


def test_the_disk_of_the_database_full(parts: tuple[Stack, Disk | None, Disk | None]) -> None:
    stack, disk, _ = parts
    if disk is None:
        pytest.skip("a small disk cannot be mounted here")
    # more than pages have room for
    large = [{"id": f"large-{number}", "prompt": os.urandom(60_000).hex()} for number in range(60)]
    with Traffic(stack, "database-full", pace=0.5) as traffic:
        half_way(traffic)
        disk.fill()
        answer = ingest(stack, *large, source="large")
        assert (answer.status, answer.json["type"]) == (507, "urn:guardapp:problem:storage_full")
        assert answer.headers["Retry-After"] == "60"
        assert stack.site.rows("SELECT count(*) FROM annotation_item WHERE source = 'large'") == [(0,)]
        assert page(stack).status == 200, "who only reads is not disturbed"
        disk.free()
        assert ingest(stack, *large[:2], source="large").json["created"] == 2
    traffic.check()
    assert set(traffic.problems) <= {"storage_full"}


def test_the_disk_of_the_media_full(parts: tuple[Stack, Disk | None, Disk | None]) -> None:
    stack, _, disk = parts
    if disk is None:
        pytest.skip("a small disk cannot be mounted here")
    with stack.held_still("worker"):
        assert ingest(stack, {"id": "seen-late", "media": [picture()]}, source="pictures").json["created"] == 1
        disk.fill()
        row = {"id": "refused", "media": [picture()]}
        answer = ingest(stack, row, source="pictures")
        assert (answer.status, answer.json["type"]) == (507, "urn:guardapp:problem:storage_full")
        assert list((disk.folder / "assets").glob(".incoming-*")) == []
        assert stack.call("GET", "/readyz").json["storage"] == "No space left on device"
        assert ingest(stack, {"id": "text-goes-on", "prompt": "text"}, source="pictures").json["created"] == 1
    until(lambda: predicted(stack, "text-goes-on"), 60, "text goes on")
    until(
        lambda: status_of(stack, "seen-late") == ("pending", "media_storage_failed"),
        30,
        "the item says what it waits for",
    )
    until(lambda: 'data-trouble="storage_full"' in page(stack).text, 30, "the pages name it")
    disk.free()
    assert ingest(stack, row, source="pictures").json["created"] == 1
    for name in ("seen-late", "refused"):
        until(partial(predicted, stack, name), 60, f"{name} is predicted")
    [(attempts,)] = stack.site.rows("SELECT attempts FROM annotation_item WHERE external_id = 'seen-late'")
    assert attempts == 1, "a full disk uses up no attempt"


def test_media_that_never_ends_costs_only_its_own_item(stack: Stack) -> None:
    """A file that hangs whoever reads it: a pipe that nobody writes to stands where the picture was."""
    with stack.held_still("worker"):
        answer = ingest(
            stack, {"id": "hangs", "media": [picture()]}, {"id": "beside", "prompt": "text"}, source="hanging"
        )
        assert answer.json["created"] == 2
        [(path,)] = stack.site.rows(
            "SELECT a.path FROM annotation_mediaasset a JOIN annotation_itemmedia m ON m.asset_id = a.id "
            "JOIN annotation_item i ON i.id = m.item_id WHERE i.external_id = 'hangs'"
        )
        file = stack.site.folder / "media" / path
        file.unlink()
        os.mkfifo(file)
    until(lambda: status_of(stack, "beside")[0] in ("ready", "reviewed"), 30, "the other item goes on")
    until(
        lambda: status_of(stack, "hangs") == ("prediction_failed", "media_not_a_file"),
        30,
        "the item is named as failed",
    )


def test_a_silent_guard_is_not_waited_for(stack: Stack) -> None:
    address = stack.site.folder / "guard.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(address))
        silent.listen()
        began = time.monotonic()
        answer = moderate(stack, "nobody answers", deadline_ms=300)
        assert (answer.status, answer.json["type"]) == (503, "urn:guardapp:problem:guard_too_slow")
        assert float(answer.headers["Retry-After"]) > 0 and time.monotonic() - began < 6
    address.unlink()


def test_the_guard_killed_while_programs_wait_for_it(stack: Stack) -> None:
    stack.add(Program("guard", (sys.executable, "-m", "tests.faults.scripted_guard"), stack.environment))
    until(lambda: moderate(stack, "the first").status == 200, 120, "the guard answers")
    answers: Counter[int] = Counter()
    done = threading.Event()

    def call(caller: int) -> None:
        number = 0
        while not done.is_set():
            answer = moderate(stack, f"caller {caller} asks for thing {number}")
            answers[answer.status] += 1
            number += answer.status == 200
            assert answer.status == 200 or answer.headers["Retry-After"]
            time.sleep(0.2)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(2)]
    for caller in callers:
        caller.start()
    try:
        until(lambda: answers[200] >= 3, 60, "moderation runs")
        stack.kill("guard")
        until(lambda: answers[503], 30, "callers are told to come back")
        before = answers[200]
        until(lambda: answers[200] > before, 120, "the guard is back by itself")
    finally:
        done.set()
        for caller in callers:
            caller.join()
        stack.send("guard", signal.SIGSTOP)
    assert set(answers) <= {200, 503}
    until(lambda: 'data-trouble="guard_away"' in page(stack).text, 30, "the pages name a guard that hangs")
    twice = stack.site.rows(
        "SELECT count(*) FROM annotation_item WHERE source = 'moderation' GROUP BY prompt HAVING count(*) > 1"
    )
    assert twice == []
