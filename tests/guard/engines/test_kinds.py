"""The table of engines: a member without a whole row fails here, and so does a reader that does not follow it."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from guardapp.guard.engines.kinds import ENGINES, EngineKind, EngineOptions, EngineUnknown, engine_named
from guardapp.guard.protocol import Engine
from tests import house
from tests.guard.chat_server import chat_server
from tests.paths import ROOT, STARTER
from training.contract import MineConfig
from training.errors import EngineNotInstalled
from training.learning.engines import guard_engine
from training.recipes import CHOICES, SettingUnknown
from training.recipes.checks import check_together
from training.runs.job_config import refuse_missing_engine

FOLDER = ROOT / "guardapp" / "guard" / "engines"
REMOTE = [name for name, kind in ENGINES.items() if kind.remote]


def mining(engine: str, server: str = "") -> MineConfig:
    return MineConfig(model=str(STARTER), dataset="", media_root="", threads=1, engine=engine, server=server)


def test_every_engine_of_the_folder_has_a_row() -> None:
    table = (FOLDER / "kinds.py").read_text()
    classes = [
        name
        for path in FOLDER.rglob("*.py")
        for name in re.findall(r"^class (\w+Engine)\b", path.read_text(), re.MULTILINE)
    ]
    assert len(classes) == len(ENGINES)
    assert [name for name in classes if f"return {name}(" not in table] == []


@pytest.mark.parametrize("kind", ENGINES.values(), ids=ENGINES)
def test_every_engine_can_be_made_or_says_what_it_needs(kind: EngineKind) -> None:
    if not kind.installed:
        with pytest.raises(EngineNotInstalled, match=re.escape(f"{kind.title} is not installed")) as caught:
            refuse_missing_engine({"engine": kind.name})
        assert kind.install in str(caught.value)
        return
    local = ENGINES["transformers"].make(EngineOptions(str(STARTER), device="cpu", threads=1))
    if not kind.remote:
        assert isinstance(
            local if kind.name == "transformers" else guard_engine(mining(kind.name), batch_size=2), Engine
        )
        return
    with pytest.raises(SettingUnknown, match=f"engine={kind.name} needs the name"):
        check_together(mining(kind.name))
    with chat_server(local) as server:  # type: ignore[arg-type]  # it is a HfEngine
        assert isinstance(guard_engine(replace(mining(kind.name, "gpu"), vllm_url=server.url), batch_size=2), Engine)


def test_an_unknown_name_lists_the_known_ones() -> None:
    words = "engine='vlm' is not one of transformers, vllm, server."
    for ask in (
        lambda: engine_named("vlm"),
        lambda: guard_engine(mining("vlm"), batch_size=2),
        lambda: refuse_missing_engine({"engine": "vlm"}),
    ):
        with pytest.raises(EngineUnknown, match=re.escape(words)):
            ask()


def test_recipes_settings_and_docs_name_the_engines_of_the_table() -> None:
    assert CHOICES["engine"] == tuple(ENGINES)
    deploy = (ROOT / "docs" / "deploy.md").read_text()
    assert [name for name in ENGINES if f"`{name}`" not in deploy] == []
    [row] = [line for line in (ROOT / "docs" / "settings.md").read_text().splitlines() if "EVALUATION_ENGINE" in line]
    assert [name for name in ENGINES if name not in REMOTE and f"`{name}`" not in row] == []


@pytest.mark.parametrize("name", ["vlm", *REMOTE])
def test_evaluations_take_only_an_engine_of_the_job_s_own_process(name: str, tmp_path: Path) -> None:
    environment = os.environ | {"GUARDAPP_EVALUATION_ENGINE": name, "GUARDAPP_DATA": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", "import guardapp.settings"],
        env=environment,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert f"GUARDAPP_EVALUATION_ENGINE='{name}' is not one of transformers, vllm." in found.stderr


def test_reading_the_table_loads_no_torch() -> None:
    program = "import sys, guardapp.guard.engines.kinds; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("module", ["guardapp.guard.engines.vllm", "guardapp.guard.engines.hf.hf_engine"])
def test_an_engine_in_the_process_needs_no_client_of_servers(module: str) -> None:
    """vLLM has an environment of its own: there is what vLLM brings, and not what the product needs besides."""
    reached, todo = set(), [module]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            found = house.modules().get(name)
            todo += [] if found is None else house.imported(found.tree)
    assert {"guardapp.guard.parsing"} <= reached and not {"httpx2", "tenacity", "django"} & reached
