"""The same review workflow on Label Studio and on guardapp, in one run on the same cores.

    python -m benchmarks.peer --label-studio VENV/bin/label-studio [--items 10000] [--submits 200]

Both are installed from the package registry and started as their documentation says, each in a new folder with SQLite;
one runs at a time. Label Studio: `label-studio start`, called with its token. Ours: `benchmarks.console`, unchanged.
The rows are the same texts, and both reviewers see a model's judgement next to each text and accept it.

| figure | Label Studio | guardapp |
|---|---|---|
| ingest | `POST /api/projects/N/import`, 1,000 tasks per call, two connections | `POST /api/v1/items`, likewise |
| next | `GET /api/projects/N/next` | `POST /api/v1/queues/default/next` |
| submit | `POST /api/tasks/N/annotations/` | `POST /api/v1/assignments/TOKEN/submit` |
| export | `GET /api/projects/N/export?exportType=JSON` (every task annotated) | `GET /api/v1/export` |

A ratio above 1 means that ours is faster: medians of milliseconds are theirs over ours; rates are ours over theirs. The
last line is one JSON object.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.console import BATCH, EXPORTS, seconds_to_send
from benchmarks.product import print_progress
from benchmarks.rows import text_row

NAME, PASSWORD, TOKEN = "bench@example.org", "a-password-of-this-run", "b0b1b2b3b4b5b6b7b8b9b0b1b2b3b4b5b6b7b8b9"
# Two choices, since our reviewer decides on the prompt and on the response.
LABEL_CONFIG = """<View>
  <Text name="prompt" value="$prompt"/>
  <Choices name="prompt_label" toName="prompt" choice="single" required="true">
    <Choice value="harmful"/><Choice value="unharmful"/>
  </Choices>
  <Text name="response" value="$response"/>
  <Choices name="response_label" toName="response" choice="single" required="true">
    <Choice value="harmful"/><Choice value="unharmful"/>
  </Choices>
</View>"""
START_SECONDS = 300  # its first start runs some hundred migrations


@dataclass(frozen=True, slots=True)
class Figures:
    """Rates in rows per second, and medians in milliseconds."""

    ingest: float
    next: float
    submit: float
    export: float


class LabelStudio:
    """A persistent connection with the token of the only user."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON answer. Raises RuntimeError unless it is a success."""
        headers = {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"Label Studio answered {answer.status} to {method} {path}: {content[:500]!r}")
        return json.loads(content)

    def project(self, title: str) -> int:
        return int(self.call("POST", "/api/projects/", {"title": title, "label_config": LABEL_CONFIG})["id"])


@contextmanager
def serving(program: Path, folder: Path) -> Iterator[int]:
    """Run Label Studio as a newcomer would, and yield its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(program),
        "start",
        "--no-browser",
        "--init",
        "--data-dir",
        str(folder),
        "--port",
        str(port),
        "--internal-host",
        "127.0.0.1",
        "--username",
        NAME,
        "--password",
        PASSWORD,
        "--user-token",
        TOKEN,
        "--enable-legacy-api-token",
        "--log-level",
        "ERROR",
    ]
    quiet = {"COLLECT_ANALYTICS": "false", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "", "LATEST_VERSION_CHECK": "false"}
    log = folder / "label-studio.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=os.environ | quiet, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Label Studio did not start: {log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.5)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def _answers(port: int) -> bool:
    try:
        LabelStudio(port).call("GET", "/api/version")
    except OSError:
        return False
    return True


def task(number: int) -> dict[str, Any]:
    row = text_row(number)
    return {"external_id": row["external_id"], "prompt": row["prompt"], "response": row["response"]}


def judgement() -> list[dict[str, Any]]:
    """Both judged unharmful, as Label Studio annotations or predictions."""
    return [
        {"from_name": f"{part}_label", "to_name": part, "type": "choices", "value": {"choices": ["unharmful"]}}
        for part in ("prompt", "response")
    ]


def ingest(port: int, project: int, items: int) -> float:
    """Tasks per second."""
    batches = [[task(number) for number in range(start, start + BATCH)] for start in range(0, items, BATCH)]

    def sender() -> Callable[[list[Any]], None]:
        studio = LabelStudio(port)

        def send(batch: list[Any]) -> None:
            answer = studio.call("POST", f"/api/projects/{project}/import", batch)
            if answer["task_count"] != BATCH:
                raise RuntimeError(f"{answer['task_count']} of {BATCH} tasks were imported")

        return send

    return items / seconds_to_send(batches, sender)


def add_predictions(port: int, project: int, items: int) -> None:
    """Add a prediction to each task; not measured."""
    studio = LabelStudio(port)
    tasks: list[int] = []
    for page in range(1, items // BATCH + 1):
        found = studio.call("GET", f"/api/tasks?project={project}&page={page}&page_size={BATCH}&fields=task_only")
        tasks += [row["id"] for row in found["tasks"]]
    if len(tasks) != items:
        raise RuntimeError(f"{len(tasks)} tasks are listed where {items} were imported.")
    for start in range(0, items, BATCH):
        rows = [
            {"task": pk, "result": judgement(), "model_version": "starter", "score": 0.9}
            for pk in tasks[start : start + BATCH]
        ]
        studio.call("POST", f"/api/projects/{project}/import/predictions", rows)
    studio.call("PATCH", f"/api/projects/{project}", {"model_version": "starter", "show_collab_predictions": True})


def review(port: int, project: int, submits: int) -> tuple[float, float]:
    """Median milliseconds of next and submit."""
    studio, taken = LabelStudio(port), []
    for _ in range(submits):
        started = time.perf_counter()
        found = studio.call("GET", f"/api/projects/{project}/next")
        between = time.perf_counter()
        if not found["predictions"]:
            raise RuntimeError("The task came without the model's judgement.")
        before = time.perf_counter()
        studio.call("POST", f"/api/tasks/{found['id']}/annotations/", {"result": judgement(), "lead_time": 20})
        taken.append((between - started, time.perf_counter() - before))
    waits, sends = zip(*taken, strict=True)
    return statistics.median(waits) * 1000, statistics.median(sends) * 1000


def export(port: int, items: int) -> float:
    """Rows per second for a project with annotations and predictions on all tasks: the median of EXPORTS rounds."""
    studio = LabelStudio(port)
    project = studio.project("decided")
    for start in range(0, items, BATCH):
        studio.call(
            "POST",
            f"/api/projects/{project}/import",
            [
                {
                    "data": task(number),
                    "annotations": [{"result": judgement()}],
                    "predictions": [{"result": judgement()}],
                }
                for number in range(start, start + BATCH)
            ],
        )
    rates = []
    for _ in range(EXPORTS):
        started = time.perf_counter()
        rows = studio.call("GET", f"/api/projects/{project}/export?{urllib.parse.urlencode({'exportType': 'JSON'})}")
        rates.append(items / (time.perf_counter() - started))
        if len(rows) != items or not rows[0]["annotations"]:
            raise RuntimeError(f"{len(rows)} of {items} tasks were exported.")
    return statistics.median(rates)


def measure_peer(program: Path, items: int, submits: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="label-studio-") as folder, serving(program, Path(folder)) as port:
        project = LabelStudio(port).project("queue")
        rate = ingest(port, project, items)
        print_progress(f"Label Studio: ingest {rate:,.0f} items/s")
        add_predictions(port, project, items)
        following, submit = review(port, project, submits)
        print_progress(f"Label Studio: next {following:.1f} ms, submit {submit:.1f} ms (p50)")
        return Figures(rate, following, submit, export(port, items))


def measure_ours(items: int, submits: int) -> Figures:
    command = [sys.executable, "-m", "benchmarks.console", "--items", str(items), "--submits", str(submits)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return Figures(
        found["ingest_items_per_s"], found["next_p50_ms"], found["submit_p50_ms"], found["export_rows_per_s"]
    )


def compare(peer: Figures, ours: Figures) -> dict[str, Any]:
    return {
        "next_ratio": round(peer.next / ours.next, 1),
        "submit_ratio": round(peer.submit / ours.submit, 1),
        "export_ratio": round(ours.export / peer.export, 1),
        "ingest_ratio": round(ours.ingest / peer.ingest, 2),
        "peer": _rounded(peer),
        "ours": _rounded(ours),
    }


def _rounded(figures: Figures) -> dict[str, float]:
    return {
        "ingest_items_per_s": round(figures.ingest),
        "next_p50_ms": round(figures.next, 2),
        "submit_p50_ms": round(figures.submit, 2),
        "export_rows_per_s": round(figures.export),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--label-studio", type=Path, required=True, help="its program, in an environment of its own")
    arguments.add_argument("--items", type=int, default=10_000, help="a multiple of 1,000")
    arguments.add_argument("--submits", type=int, default=200)
    given = arguments.parse_args()
    if given.items < BATCH or given.items % BATCH or not 2 <= given.submits <= given.items:
        arguments.error("--items must be a multiple of 1,000, and --submits between 2 and that.")
    if not given.label_studio.exists():
        arguments.error(f"--label-studio: there is no {given.label_studio}. `make bench-peer` installs it.")
    peer = measure_peer(given.label_studio, given.items, given.submits)
    print_progress(f"Label Studio: {peer}")
    print(json.dumps(compare(peer, measure_ours(given.items, given.submits))))


if __name__ == "__main__":
    main()
