"""Overhead of moderation over the bare engine, and a comparison of the three engines: `make bench-serving`.

    python -m benchmarks.serving [--rows 384] [--rounds 3]

Starts the product's own web server, guard process and broker (the supervisor's commands and default settings) in a new
data folder and sends `POST /v1/moderations` with a key, one text per request, from 1, 8, 32 and 128 clients that wait
for each answer. The bare engine is the same guard in its own process; it gets the same texts all at once, sorts them by
length and generates 32 together. Endpoint at 32 clients and bare engine alternate for `--rounds` rounds, and medians
are compared. Content that moderation sends to people is opened as items, which are deleted between the passes. Clients,
web, guard and engine share the machine's cores; the guard and the engine have one torch thread each.

If `.venv-vllm` exists (`make test-vllm` creates it), vLLM answers the same texts too, in-process and as a server.

The last line is one JSON object: `throughput_vs_engine` at 32 clients, requests per second and milliseconds by the
number of clients, `cpu_ms` of web and guard per request, `cpu_vs_engine` (the bare engine's CPU time per row relative
to the guard's per request, which is comparable on a busy machine too), `engines` in rows per second (null: not
installed).
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from benchmarks.product import make_key, print_progress

ROOT = Path(__file__).resolve().parents[1]
STARTER = ROOT / "guardapp" / "starter"
VLLM_PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
SEED = 29
CLIENTS = (1, 8, 32, 128)
COMPARED = 32  # clients
PATH = "/v1/moderations"
MODELS = {"full": "guard", "fast": "guard-fast"}
PATIENCE_S = 900.0
Result = dict[str, Any]


class BareEngine:
    """An engine in its own process, loaded and waiting."""

    def __init__(self, kind: str, python: str = sys.executable) -> None:
        environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "PYTHONPATH": str(ROOT),
            "TOKENIZERS_PARALLELISM": "false",
        }
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.serving_engine", kind, str(STARTER)],
            stdin=subprocess.PIPE,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.cpu_ms: list[float] = []  # per row, for each pass
        self._answer()

    def judge(self, prompts: Sequence[str], mode: str) -> Result:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"prompts": prompts, "mode": mode}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def rate(self, prompts: Sequence[str], mode: str = "full") -> float:
        """Rows per second."""
        found = self.judge(prompts, mode)
        self.cpu_ms.append(1_000 * float(found["cpu_s"]) / len(prompts))
        return len(prompts) / float(found["seconds"])

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(60)

    def _answer(self) -> Result:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the engine's process has ended"
        found: Result = json.loads(line)
        return found


@dataclass(frozen=True, slots=True)
class Site:
    """The running product."""

    port: int
    key: str
    processes: dict[str, psutil.Process]

    def put(self, prompts: Sequence[str], clients: int, mode: str = "full") -> Result:
        """Send all prompts, one per request."""
        bodies = [json.dumps({"model": MODELS[mode], "input": prompt}) for prompt in prompts]
        asked = {"port": self.port, "path": PATH, "key": self.key, "clients": clients, "bodies": bodies}
        before = self._cpu_seconds()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.serving_load"],
            input=json.dumps(asked),
            text=True,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            check=True,
        )
        found = json.loads(done.stdout)
        assert not found["failed"], found["failed"][0]
        cuts = statistics.quantiles(found["ms"], n=100, method="inclusive")
        after = self._cpu_seconds()
        _forget_items()
        return {
            "per_s": round(len(bodies) / found["seconds"], 2),
            "p50_ms": round(cuts[49], 1),
            "p95_ms": round(cuts[94], 1),
            "p99_ms": round(cuts[98], 1),
            "refused": found["refused"],
            "cpu_ms": {name: round(1_000 * (after[name] - before[name]) / len(bodies), 1) for name in after},
        }

    def _cpu_seconds(self) -> dict[str, float]:
        return {
            name: sum(sum(one.cpu_times()[:2]) for one in [process, *process.children(recursive=True)])
            for name, process in self.processes.items()
        }


def _forget_items() -> None:
    """Delete the items: the same content opens only one item, and each pass must open its own."""
    from annotation.models import Item
    from annotation.moderation.moderate import SOURCE

    Item.objects.filter(source=SOURCE).delete()


@contextmanager
def product(folder: Path) -> Iterator[Site]:
    """Run broker, web and guard as the supervisor would, with the default settings."""
    from guardapp.supervisor.programs import programs
    from tests.test_supervisor import free_port
    from training.management.commands.up import plan_from_settings

    port = free_port()
    key, running = make_key(), {}
    try:
        for program in programs(replace(plan_from_settings(), port=port)):
            if program.name in ("broker", "web", "guard"):
                log = (folder / f"{program.name}.log").open("wb")
                running[program.name] = subprocess.Popen(
                    program.command, stdout=log, stderr=log, cwd=ROOT, env=os.environ | program.environment
                )
        yield Site(port, key, {name: psutil.Process(running[name].pid) for name in ("web", "guard")})
    finally:
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        for process in running.values():
            process.wait(60)


def warm_up(site: Site, prompts: Sequence[str]) -> None:
    """Wait until the guard is loaded and every web process has answered."""
    deadline = time.monotonic() + 300
    while True:
        try:
            site.put(prompts[:32], COMPARED)
            return
        except (AssertionError, subprocess.CalledProcessError):
            assert time.monotonic() < deadline, "the endpoint does not answer"
            time.sleep(1)


def endpoint(engine: BareEngine, prompts: Sequence[str], rounds: int, folder: Path) -> Result:
    """Compare the endpoint with the bare engine at 32 clients, then measure other numbers of clients."""
    with product(folder) as site:
        warm_up(site, prompts)
        engine.rate(prompts[:32])
        engine.cpu_ms.clear()
        passes, rates = in_turns(rounds, lambda: site.put(prompts, COMPARED), lambda: engine.rate(prompts))
        engine_ms = statistics.median(engine.cpu_ms)
        by_clients = {
            str(clients): site.put(prompts[: 32 * clients], clients) for clients in CLIENTS if clients != COMPARED
        }
        fast, fast_rates = in_turns(
            1, lambda: site.put(prompts, COMPARED, "fast"), lambda: engine.rate(prompts, "fast")
        )
    by_clients[str(COMPARED)] = middle(passes)
    guard_ms = statistics.median(one["cpu_ms"]["guard"] for one in passes)
    for clients, figures in sorted(by_clients.items(), key=lambda entry: int(entry[0])):
        print_progress(f"{clients} clients: {figures}")
    return {
        "throughput_vs_engine": round(statistics.median(one["per_s"] for one in passes) / statistics.median(rates), 3),
        "rounds": [round(one["per_s"] / rate, 3) for one, rate in zip(passes, rates, strict=True)],
        "clients": by_clients,
        "fast_vs_engine": round(fast[0]["per_s"] / fast_rates[0], 3),
        "fast": fast[0],
        "engine_cpu_ms": round(engine_ms, 1),
        "cpu_vs_engine": round(engine_ms / guard_ms, 3),
        "transformers_per_s": round(statistics.median(rates), 2),
    }


def in_turns(rounds: int, ours: Callable[[], Result], theirs: Callable[[], float]) -> tuple[list[Result], list[float]]:
    """Alternate which of the two goes first."""
    passes, rates = [], []
    for number in range(rounds):
        if number % 2:
            passes.append(ours())
            rates.append(theirs())
        else:
            rates.append(theirs())
            passes.append(ours())
        print_progress(f"round {number + 1}: engine {rates[-1]:.1f} rows/s, endpoint {passes[-1]}")
    return passes, rates


def middle(passes: Sequence[Result]) -> Result:
    """The pass in the middle by its rate; of an even number, the slower of the two there."""
    return sorted(passes, key=lambda one: float(one["per_s"]))[(len(passes) - 1) // 2]


def vllm_engines(prompts: Sequence[str], folder: Path) -> dict[str, float | None]:
    """Rows per second of an in-process vLLM and of `vllm serve`.

    The second pass counts, since the first one compiles and fills caches.
    """
    if not VLLM_PYTHON.exists():
        print_progress(
            f"{VLLM_PYTHON.parent.parent.name} does not exist (create it with make test-vllm): vLLM is left out"
        )
        return {"vllm_offline_per_s": None, "vllm_serve_per_s": None}
    from tests.vllm.served import vllm_server

    found: dict[str, float | None] = {}
    with ExitStack() as stack:
        address = stack.enter_context(vllm_server(str(VLLM_PYTHON), folder / "vllm.log"))
        found["vllm_serve_per_s"] = _second_pass(BareEngine(address), prompts)
    found["vllm_offline_per_s"] = _second_pass(BareEngine("vllm", str(VLLM_PYTHON)), prompts)
    return found


def _second_pass(engine: BareEngine, prompts: Sequence[str]) -> float:
    engine.rate(prompts)
    # changed, to miss the prefix cache
    rate = engine.rate([f"{prompt} " for prompt in prompts])
    engine.close()
    print_progress(f"vLLM: {rate:.1f} rows/s")
    return round(rate, 2)


def run(rows: int, rounds: int, folder: Path) -> Result:
    os.environ |= {"GUARDAPP_DATA": str(folder), "DJANGO_SETTINGS_MODULE": "guardapp.settings"}
    import django

    django.setup()
    from training.installation.first_start import prepare
    from training.starter.rows_text import generate

    prepare(lambda line: None)
    prompts = [row["prompt"] for row in generate(SEED, rows, held_out_topics=False)]
    engine = BareEngine("transformers")
    figures = endpoint(engine, prompts, rounds, folder)
    engine.close()
    engines = {"transformers_per_s": figures.pop("transformers_per_s"), **vllm_engines(prompts, folder)}
    return {**figures, "engines": engines}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=384)
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    if given.rows < 64 or given.rounds < 1:
        arguments.error("--rows must be 64 or more, --rounds 1 or more.")
    with tempfile.TemporaryDirectory(prefix="guardapp-bench-") as folder:
        print(json.dumps(run(given.rows, given.rounds, Path(folder))))


if __name__ == "__main__":
    main()
