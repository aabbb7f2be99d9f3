"""No program of the product reads a pickle: not from files, and not from other processes of a job."""

import ast
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import distributed

from tests.paths import ROOT
from training.contract import ACCELERATE
from training.learning.grpo.kept_rollouts import load_rollouts, save_rollouts
from training.learning.plain_objects import NotPlain, decoded, encoded, send_plain_objects
from training.recipes.launch import Launch, write_launch
from training.runs.job_process import SECRET, held, start
from training.runs.start_job import shield

UNPICKLERS = ("pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve")
CALLS = ("torch.load", "torch.save", "torch.jit.load", "numpy.load", "np.load", "yaml.load", "yaml.unsafe_load")


class Trap:
    """Reading its pickle makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def breaches(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in UNPICKLERS)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in UNPICKLERS:
            yield str(node.module)
        elif isinstance(node, ast.ImportFrom) and node.module in ("torch", "numpy"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name in ("load", "save"))
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in CALLS or name in ("eval", "exec"):
                yield name


def test_no_module_of_the_product_imports_or_calls_what_unpickles() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {breach}"
        for app in ("guardapp", "annotation", "training")
        for path in (ROOT / app).rglob("*.py")
        for breach in breaches(path.read_text())
    }
    assert found == set()


@pytest.mark.parametrize(
    "text",
    ["import pickle", "from dill import loads", "import torch\ntorch.load(x)", "from torch import load", "exec(x)"],
)
def test_the_search_finds_each_way(text: str) -> None:
    assert list(breaches(text))


@dataclass
class OwnClass:
    value: int = 1


@pytest.mark.parametrize(
    "value",
    [
        None,
        [1, 2.5, "ü\ud800", True, None],
        {"a": (1, (2, "x")), "b": {3: [b"\x00\xff"], ("k", 1): "tuple"}},
        {"$kind": "bytes", "of": "AA=="},
        [float("inf"), -0.0, 10**40],
    ],
)
def test_plain_objects_come_back_as_they_were(value: object) -> None:
    again = decoded(encoded(value))
    assert again == value and repr(again) == repr(value)


def test_tensors_and_pictures_come_back_as_they_were() -> None:
    tensor, picture = torch.arange(6, dtype=torch.int16).view(2, 3).t(), Image.new("RGB", (3, 2), (1, 2, 3))
    again = decoded(encoded([tensor, {"picture": picture}]))
    assert torch.equal(again[0], tensor) and again[0].dtype == tensor.dtype
    assert again[1]["picture"].tobytes() == picture.tobytes()


@pytest.mark.parametrize("value", [OwnClass(), {1, 2}, Path("/"), print, [OwnClass()]])
def test_other_objects_are_not_sent(value: object) -> None:
    with pytest.raises(NotPlain):
        encoded(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04\x95",
        b'{"$kind": "module", "of": "os"}',
        b'{"$kind": "tensor", "of": "gASV"}',
        b'{"$kind": "png", "of": "R0lGODlhAQABAAAAACw="}',
        b'{"$kind": "tuple"}',
        b"[" * 100_000,
    ],
)
def test_what_no_process_of_a_job_sends_is_refused(data: bytes, tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    for sent in (data, pickle.dumps(Trap(trap))):
        with pytest.raises(Exception) as caught:
            decoded(sent)
        assert not trap.exists() and "ran" not in str(caught.value)


def test_object_collectives_of_torch_send_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.distributed import distributed_c10d

    for name in ("_object_to_tensor", "_tensor_to_object"):
        monkeypatch.setattr(distributed_c10d, name, getattr(distributed_c10d, name))
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        send_plain_objects()
        for name in ("_pickler", "_unpickler"):
            monkeypatch.setattr(distributed_c10d, name, None)
        gathered: list[Any] = [None]
        distributed.all_gather_object(gathered, {"row": (1, "a")})
        assert gathered == [{"row": (1, "a")}]
        assert distributed_c10d._object_to_tensor("x", "cpu", None)[0].resize_(9).shape == (9,)
        shared = [[1, "x"], None]
        distributed.broadcast_object_list(shared, src=0)
        assert shared == [[1, "x"], None]
        with pytest.raises(NotPlain):
            distributed.all_gather_object(gathered, OwnClass())
    finally:
        distributed.destroy_process_group()


def test_the_rollouts_of_a_checkpoint_come_back_as_they_were(tmp_path: Path) -> None:
    whole = torch.arange(12.0).view(3, 4)
    passes = [
        {"ids": torch.tensor([[1, 2]]), "mask": torch.tensor([[True, False]]), "part": whole[:, 1:3]},
        {"ids": torch.zeros(0, 2, dtype=torch.long)},
    ]
    save_rollouts(tmp_path / "kept.safetensors", passes, {"reward": 0.25}, 8)
    again, metrics, drawn = load_rollouts(tmp_path / "kept.safetensors", torch.device("cpu"))
    assert (metrics, drawn, [sorted(one) for one in again]) == ({"reward": 0.25}, 8, [["ids", "mask", "part"], ["ids"]])
    for before, after in zip(passes, again, strict=True):
        assert all(
            torch.equal(before[name], after[name]) and before[name].dtype == after[name].dtype for name in before
        )


def test_a_job_unpickles_no_file_whoever_asks_for_it(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    (tmp_path / "optimizer.pt").write_bytes(pickle.dumps(Trap(trap)))
    environment = dict(os.environ)
    shield(environment)  # type: ignore[arg-type]
    read = f"import torch; torch.load({str(tmp_path / 'optimizer.pt')!r}, weights_only=False)"
    done = subprocess.run([sys.executable, "-c", read], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "weights_only" in done.stderr and not trap.exists()


def test_processes_of_one_machine_listen_on_its_loopback_interface(tmp_path: Path) -> None:
    write_launch(tmp_path, Launch(processes=2, strategy="ddp"), {"base_model": "x"}, gpus=0)
    environment: dict[str, str] = {}
    shield(environment, (tmp_path / ACCELERATE).read_text())  # type: ignore[arg-type]
    assert environment["GLOO_SOCKET_IFNAME"] == environment["NCCL_SOCKET_IFNAME"] == "lo"
    several = Launch(processes=4, strategy="ddp", machines=2, main="first")
    write_launch(tmp_path, several, {"base_model": "x"}, gpus=0, machines={"first": ["10.0.0.1:29400"]})
    environment = {}
    shield(environment, (tmp_path / ACCELERATE).read_text())  # type: ignore[arg-type]
    assert "GLOO_SOCKET_IFNAME" not in environment


def test_a_job_is_told_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "GUARDAPP_SECRET_KEY": "s1",
        "DATABASE_URL": "postgres://u:s2@h/d",
        "REDIS_URL": "redis://:s3@h",
        "HF_TOKEN": "s4",
        "AWS_SECRET_ACCESS_KEY": "s5",
        "GUARDAPP_VLLM_KEY": "s6",
        "PGPASSWORD": "s7",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    (tmp_path / "told.py").write_text("import os, pathlib\npathlib.Path('told').write_text(repr(dict(os.environ)))\n")
    monkeypatch.setattr("training.runs.job_process.settings.BASE_DIR", tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    with held(tmp_path, 1.0) as lock:
        assert lock is not None
        assert start("told", tmp_path, lock).wait(60) == 0
    told = (tmp_path / "told").read_text()
    assert "TOKENIZERS_PARALLELISM" in told and not [name for name in secrets if name in told]
    assert SECRET.search("CUDA_VISIBLE_DEVICES") is None
