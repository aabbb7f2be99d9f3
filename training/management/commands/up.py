"""`manage.py up`: run the whole product on one machine until Ctrl+C."""

import http.client
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from annotation.predictions.selectors import inference_backlog
from guardapp.supervisor.child import Program
from guardapp.supervisor.programs import BROKER, Plan, programs
from guardapp.supervisor.supervise import CannotStart, Supervisor, only_one, refuse_taken_port
from training.installation.first_start import demo_is_wanted, prepare

BROKER_WAIT_S = 5.0
# interval of checks until the web process answers
CHECK_EVERY_S = 1.0
# Interval of reports on the guard's initial backlog.
REPORT_EVERY_S = 5.0


class Command(BaseCommand):
    help = "Run broker, web, workers and beat on this machine; Ctrl+C stops them all."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.began = time.monotonic()
        plan = plan_from_settings()
        try:
            with only_one(settings.DATA_DIR / "up.lock"):
                refuse_taken_port(plan.bind, plan.port)
                everything = programs(plan)
                prepare(lambda line: self.echo("setup", line))
                if demo_is_wanted():
                    self.echo("setup", "loading the demo queue")
                    everything.append(
                        Program("demo", (sys.executable, str(settings.BASE_DIR / "manage.py"), "setup_demo"), once=True)
                    )
                connections.close_all()
                self.supervise(plan, everything)
        except CannotStart as error:
            raise CommandError(str(error)) from error

    def supervise(self, plan: Plan, everything: list[Program]) -> None:
        supervisor = Supervisor(everything, log_dir=settings.DATA_DIR / "log", cwd=settings.BASE_DIR, echo=self.echo)
        if plan.broker_socket:
            plan.broker_socket.unlink(missing_ok=True)
            supervisor.start(BROKER)
            _wait_for(plan.broker_socket)
        watch = Watch(plan, self)
        supervisor.run(watch)
        self.echo("up", "everything has stopped")

    def echo(self, name: str, line: str) -> None:
        self.stdout.write(f"{name:>10} | {line}")
        self.stdout.flush()


class Watch:
    """Console messages while everything runs: when the web answers, and progress on the initial backlog."""

    def __init__(self, plan: Plan, command: Command) -> None:
        self.plan = plan
        self.command = command
        self.answers = False
        self.caught_up = False
        self.next_check = self.next_report = 0.0
        self.last = ""

    def __call__(self) -> None:
        now = time.monotonic()
        if not self.answers and now >= self.next_check:
            self.next_check = now + CHECK_EVERY_S
            if _answers(self.plan.bind, self.plan.port):
                self.answers = True
                self.command.echo(
                    "web",
                    f"ready at {address(self.plan)} after {now - self.command.began:.1f} s; Ctrl+C stops everything",
                )
        elif self.answers and not self.caught_up and now >= self.next_report:
            self.next_report = now + REPORT_EVERY_S
            self.report()

    def report(self) -> None:
        backlog = inference_backlog()
        line = f"{backlog.predicted} of {backlog.total} items are predicted" + (
            f", {backlog.failed} failed" if backlog.failed else ""
        )
        if backlog.total and line != self.last:
            self.last = line
            self.command.echo("guard", f"{line} ({time.monotonic() - self.command.began:.0f} s)")
        self.caught_up = bool(backlog.total) and backlog.waiting == 0
        if self.caught_up:
            connections.close_all()


def plan_from_settings() -> Plan:
    return Plan(
        data_dir=settings.DATA_DIR,
        bind=settings.BIND,
        port=settings.PORT,
        web_workers=settings.WEB_WORKERS,
        web_threads=settings.WEB_THREADS,
        log_level=settings.LOG_LEVEL,
        broker_socket=None if settings.REDIS_URL else settings.BROKER_SOCKET,
        worker_threads=settings.WORKER_THREADS,
    )


def address(plan: Plan) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(plan.bind, plan.bind)  # noqa: S104  (where to look, not where to listen)
    return f"http://{host}:{plan.port}/"


def _answers(bind: str, port: int) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/", headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _wait_for(socket: Path) -> None:
    deadline = time.monotonic() + BROKER_WAIT_S
    while not socket.exists():
        if time.monotonic() > deadline:
            raise CannotStart(
                f"The broker did not come up within {BROKER_WAIT_S:.0f} s; see "
                f"{settings.DATA_DIR / 'log' / 'broker.log'}."
            )
        time.sleep(0.02)
