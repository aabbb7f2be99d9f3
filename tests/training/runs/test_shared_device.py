"""One card for serving and training: the real starter guard leaves it for a job and comes back, whatever becomes of the
trainer.
"""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from annotation.database import clock
from annotation.models import DeviceLoan, DeviceUse, Item
from annotation.moderation.guard_client import GuardNotReady, call_guard, hang_up
from annotation.moderation.guard_process import Guarding
from annotation.moderation.guard_server import GuardServer
from annotation.moderation.guard_wire import Content, JudgeRequest
from annotation.predictions import loaded_engine, shared_device
from annotation.predictions.production import production_version
from annotation.status import ItemStatus
from annotation.tasks import predict
from tests.factories import make_item, production
from tests.paths import STARTER
from tests.training.rows import make_snapshot
from training.models import TrainingRun
from training.runs import execute
from training.runs.job_process import Limits
from training.runs.request import request_run

ASKED = JudgeRequest((Content("How do I bake bread?"),))

pytestmark = pytest.mark.django_db(transaction=True)


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def guard(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The serving process: `serve_guard`'s server with the starter, on the shared device."""
    settings.SHARED_DEVICE = "gpu0"
    settings.GUARD_SOCKET = tmp_path / "guard.sock"
    monkeypatch.setattr(shared_device, "CHECK_EVERY_S", 0.05)
    monkeypatch.setattr(loaded_engine, "_loaded", None)
    production(str(STARTER))
    guarding = Guarding()
    with GuardServer(settings.GUARD_SOCKET, guarding) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield
        hang_up()
        server.shutdown()
        thread.join()
    guarding.stop()
    assert not DeviceUse.objects.exists(), "a guard that ends says so"


def test_a_job_starts_when_the_guard_has_left_and_the_guard_comes_back_after_it(
    guard: None, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    snapshot = make_snapshot(24)
    version = production_version()
    request_run(snapshot=snapshot, base_version=version, requested_by=snapshot.created_by, overrides={"max_steps": 1})
    assert call_guard(ASKED)[0].version == version.name
    assert loaded_engine._loaded is not None and not shared_device.is_free()
    started, end = threading.Event(), threading.Event()
    at_start: list[bool] = []

    def job(*_: Any) -> execute.Ended:
        at_start.append(
            loaded_engine._loaded is None
            and shared_device.is_free()
            and DeviceLoan.objects.filter(device="gpu0").exists()
        )
        started.set()
        assert end.wait(60)
        return execute.Ended.FAILED

    def trainer() -> None:
        execute.execute_next(limits=Limits(poll=0.05))
        connection.close()

    monkeypatch.setattr(execute, "_watch", job)
    worker = threading.Thread(target=trainer)
    worker.start()
    assert started.wait(60), "nobody asks the guard, and it leaves all the same"
    with pytest.raises(GuardNotReady, match="A training run has the guard's device") as refused:
        call_guard(ASKED)
    assert refused.value.retry_after_s == shared_device.TRAINING_RETRY_S
    item = make_item(status=ItemStatus.PENDING, predicted=False)
    predict()
    assert Item.objects.get(pk=item.pk).status == ItemStatus.PENDING
    end.set()
    worker.join(60)
    assert at_start == [True] and not DeviceLoan.objects.exists()
    assert TrainingRun.objects.get().status == "failed"
    assert call_guard(ASKED)[0].version == version.name


def test_a_trainer_that_dies_gives_the_card_back_when_its_loan_runs_out(guard: None, settings: Settings) -> None:
    call_guard(ASKED)
    settings.CLAIM_SECONDS = 6
    loan = shared_device.borrow(holder="run-1")
    assert loan is not None and shared_device.borrow(holder="run-2") is None
    until(shared_device.is_free)
    with pytest.raises(GuardNotReady):
        call_guard(ASKED)
    # nobody renews the loan: the guard is loaded again before anybody asks
    until(lambda: loaded_engine._loaded is not None)
    assert call_guard(ASKED)[0].version
    assert shared_device.borrow(holder="run-2") is not None and not loan.renew()
    shared_device.give_back(loan)  # of no effect: it is another's now
    assert DeviceLoan.objects.get().holder == "run-2"


def test_a_guard_that_died_holds_nobody_up(settings: Settings) -> None:
    settings.SHARED_DEVICE = "gpu0"
    DeviceUse.objects.create(device="gpu0", process="00000000-0000-0000-0000-000000000001", seen_at=clock.now())
    assert not shared_device.is_free()
    DeviceUse.objects.update(seen_at=clock.now() - shared_device.DEAD_AFTER - timedelta(seconds=1))
    assert shared_device.is_free()
