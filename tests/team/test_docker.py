"""The files of docker/: linted, and every command of theirs run for real against PostgreSQL and Redis, without
Docker.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import yaml

from guardapp.env import REGISTER
from guardapp.settings import CELERY_TASK_ROUTES
from tests.absence import absent
from tests.team.compose import DOCKER, Service, compose, stages

ROOT = DOCKER.parent
BIN = Path(sys.executable).parent
GIVEN = {
    "POSTGRES_PASSWORD": "secret",
    "GUARDAPP_SECRET_KEY": "k" * 50,
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
    "GUARDAPP_METRICS_TOKEN": "figures",
}
OURS = ("setup", "web", "guard", "inference", "training", "default", "beat")
PATIENCE_S = 150


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Stack:
    """The services of the compose file as processes of this machine: names of hosts and ports become those of here."""

    folder: Path
    postgres: str
    redis: str
    services: dict[str, Service] = field(default_factory=lambda: compose(GIVEN))
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    web: int = field(default_factory=free_port)
    guard: int = field(default_factory=free_port)

    def here(self, text: str) -> str:
        inside = {
            "postgresql://guardapp:secret@postgres:5432/guardapp": self.postgres,
            "redis://redis:6379/0": self.redis,
            "guard:8100": f"127.0.0.1:{self.guard}",
            "0.0.0.0:8100": f"127.0.0.1:{self.guard}",
            "127.0.0.1:8100": f"127.0.0.1:{self.guard}",
            "0.0.0.0:8000": f"127.0.0.1:{self.web}",
            "'127.0.0.1', 8000": f"'127.0.0.1', {self.web}",
            "/data": str(self.folder),
            "/opt/venv/bin:$PATH": os.environ["PATH"],
        }
        for there, ours in inside.items():
            text = text.replace(there, ours)
        return text

    def environment(self, service: Service) -> dict[str, str]:
        own = {name: self.here(str(value)) for name, value in service.environment.items()}
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GUARDAPP_", "PROMETHEUS_", "DJANGO_"))
        }
        return {
            **clean,
            **own,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            "GUARDAPP_DEMO_ITEMS": "0",
            "GUARDAPP_PULSE": str(self.folder / f"{service.name}.pulse"),
            "GUARDAPP_ROLLOUTS": "0",
        }

    def command(self, words: tuple[str, ...]) -> list[str]:
        return [self.here(word) for word in words]

    def start(self, name: str) -> None:
        service = self.services[name]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                self.command(service.command),
                cwd=ROOT,
                env=self.environment(service),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(self, name: str, *words: str) -> "subprocess.CompletedProcess[str]":
        service = self.services[name]
        return subprocess.run(
            self.command(words or service.command),
            cwd=ROOT,
            env=self.environment(service),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def becomes_healthy(self, name: str) -> bool:
        service = self.services[name]
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self.running[name].poll() is None:
            if self.run(name, *service.healthcheck).returncode == 0:
                return True
            time.sleep(0.5)
        return False

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def stop(self) -> None:
        for process in self.running.values():
            os.killpg(process.pid, signal.SIGTERM)
        for process in self.running.values():
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def lint(*command: str) -> str:
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], capture_output=True, text=True, check=False, cwd=DOCKER
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_dockerfile_passes_its_linter() -> None:
    assert lint("hadolint", "--failure-threshold", "info", "Dockerfile") == ""


def test_the_linters_find_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:latest\nRUN sudo pip install x\n")
    assert "DL3007" in lint("hadolint", str(tmp_path / "Dockerfile"))
    (tmp_path / "compose.yaml").write_text("services: {web: {imag: x}}\n")
    assert "imag" in lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(tmp_path / "compose.yaml"))


def test_the_compose_files_are_of_the_published_schema() -> None:
    assert lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml", "gpu.yaml") == ""


def test_no_image_runs_as_root_and_each_has_a_command_and_a_health_check() -> None:
    final = {name: stages()[name] for name in ("web", "worker", "gpu")}
    assert all(
        stage.user.isdecimal() and stage.user != "0" and stage.command and stage.healthcheck for stage in final.values()
    )
    assert "postgresql-client-17" in (DOCKER / "Dockerfile").read_text(), "pg_dump is of the server's version"
    assert compose(GIVEN)["postgres"].value["image"] == "postgres:17"


def test_what_the_compose_file_names_is_there() -> None:
    whole = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    for name, service in compose(GIVEN, "compose.yaml", "gpu.yaml").items():
        value = service.value
        assert set(value.get("depends_on", {})) <= set(whole["services"])
        volumes = [entry.partition(":")[0] for entry in value.get("volumes", ())]
        assert all(volume in whole["volumes"] or (DOCKER / volume).is_file() for volume in volumes)
        assert all(secret in whole["secrets"] for secret in value.get("secrets", ()))
        assert service.healthcheck or name == "setup", f"{name} has no health check"
        assert ":" in value["image"] or service.image is not None, f"{name} follows whatever is newest"
    named = {
        variable
        for service in compose(GIVEN).values()
        for variable in service.environment
        if variable.startswith("GUARDAPP_")
    }
    assert named <= REGISTER.keys()
    with pytest.raises(KeyError, match="GUARDAPP_SECRET_KEY"):
        compose({"POSTGRES_PASSWORD": "x"})


def test_every_queue_has_a_worker_of_its_own() -> None:
    queues = [
        service.command[service.command.index("-Q") + 1]
        for service in compose(GIVEN).values()
        if "-Q" in service.command
    ]
    assert sorted(queues) == ["default", "inference", "training"]
    routed = {route["queue"] for route in CELERY_TASK_ROUTES.values()}
    assert routed == set(queues)


def test_figures_and_their_pictures_can_be_read() -> None:
    scrape = yaml.safe_load((DOCKER / "prometheus.yaml").read_text())["scrape_configs"]
    assert scrape[0]["static_configs"] == [{"targets": ["web:8000"]}]
    panels = json.loads((DOCKER / "grafana-dashboard.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 5


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, team_postgres: str, team_redis: str) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("data"), team_postgres, team_redis)
    done = made.run("setup")
    assert done.returncode == 0, done.stderr[-2_000:]
    try:
        for name in OURS[1:]:
            made.start(name)
        yield made
    finally:
        made.stop()


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_service_starts_and_becomes_healthy(stack: Stack) -> None:
    ours = {name for name, service in stack.services.items() if service.image is not None}
    assert ours == set(OURS)
    for name in OURS[1:]:
        assert stack.becomes_healthy(name), f"{name}: {stack.log(name)[-2_000:]}"


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_services_work_together(stack: Stack, tmp_path: Path) -> None:
    """An item that `ingest` takes in one container is predicted in another, rung through Redis and stored in
    PostgreSQL.
    """
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"external_id": "1", "prompt": "How do I bake bread?"}) + "\n")
    assert stack.run("web", "python", "manage.py", "ingest", str(rows)).returncode == 0
    deadline = time.monotonic() + PATIENCE_S
    with psycopg.connect(stack.postgres, autocommit=True) as database:
        while not database.execute("SELECT 1 FROM annotation_item WHERE status = 'ready'").fetchall():
            assert time.monotonic() < deadline, stack.log("inference")[-2_000:]
            time.sleep(0.5)
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.web}/metrics", headers={"Authorization": "Bearer figures"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert b"guardapp_" in answer.read()
    loaded = Path(f"/proc/{stack.running['default'].pid}/maps")
    if loaded.exists():
        assert "torch" not in loaded.read_text(), "the default queue's worker stays light"


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_service_that_stopped_is_unhealthy(stack: Stack) -> None:
    beat = stack.running["beat"]
    assert stack.becomes_healthy("beat")
    os.killpg(beat.pid, signal.SIGSTOP)
    pulse = stack.folder / "beat.pulse"
    os.utime(pulse, (0, time.time() - 60))  # a minute later
    assert stack.run("beat", *stack.services["beat"].healthcheck).returncode == 1
    os.killpg(beat.pid, signal.SIGCONT)
    deadline = time.monotonic() + 30
    while stack.run("beat", *stack.services["beat"].healthcheck).returncode != 0:
        assert time.monotonic() < deadline
        time.sleep(0.5)


@pytest.mark.services
@pytest.mark.slow
def test_the_backup_of_the_web_image_runs(stack: Stack, tmp_path: Path) -> None:
    if shutil.which("pg_dump") is None:
        absent("pg_dump is not installed")
    done = stack.run("web", "python", "manage.py", "backup", str(tmp_path / "copy"))
    assert done.returncode == 0, done.stderr[-1_000:]
    assert (tmp_path / "copy" / "manifest.json").exists()
