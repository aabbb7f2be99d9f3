"""What a job says about the machine that it runs on."""

from pathlib import Path

import pytest
import torch

from training.contract import ENVIRONMENT, read_json
from training.learning.environment import write_environment


def test_versions_and_devices_are_written(tmp_path: Path) -> None:
    write_environment(tmp_path)
    found = read_json(tmp_path / ENVIRONMENT)
    assert (
        found is not None
        and found["packages"]["trl"]
        and found["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    )
    assert found["devices"] and found["processes"] == 1 and found["cpus"] >= 1


def test_of_several_processes_only_the_first_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    write_environment(tmp_path)
    assert not (tmp_path / ENVIRONMENT).exists()
