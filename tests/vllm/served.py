"""A real `vllm serve` with the starter guard, on the CPU, in the environment that `make test-vllm` makes."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.paths import ROOT
from tests.test_supervisor import free_port

STARTER = ROOT / "guardapp" / "starter"
PATIENCE_S = 900.0  # it starts in about 50 s on two idle cores


@contextmanager
def vllm_server(python: str, log: Path) -> Iterator[str]:
    """Its address. Started as a module: the console script wants metadata that the CPU build does not have."""
    port = free_port()
    command = [
        python,
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--model",
        str(STARTER),
        "--served-model-name",
        "starter",
        "--dtype",
        "float32",
        "--max-model-len",
        "4096",
        "--max-num-seqs",
        "32",
        "--enforce-eager",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--limit-mm-per-prompt",
        '{"image": 4, "video": 1}',
        "--trust-request-mm-kwargs",
        "--enable-lora",
        "--max-loras",
        "2",
        "--max-lora-rank",
        "16",
    ]
    environment = os.environ | {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=log.parent, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except (urllib.error.URLError, OSError):
            pass
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-4_000:]
        time.sleep(1)
