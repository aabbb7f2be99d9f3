"""A checkpoint runs no code and changes under nobody's hands; one that cannot be used is told to leads."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from annotation.models import Item, ModelVersion
from annotation.predictions import loaded_engine
from annotation.predictions.checkpoints import files_of
from annotation.predictions.loaded_engine import engine_for
from annotation.status import ItemStatus, Role, VersionStatus
from guardapp.guard.engines.hf.checkpoint import check_folder, load_model, load_processor
from guardapp.guard.engines.hf.hf_engine import HfEngine
from guardapp.guard.protocol import CheckpointNotUsable
from tests.factories import make_item, make_user
from training.errors import CheckpointChanged
from training.runs.job_config import bring_checkpoint

CODE = "open({!r}, 'w').close()\n"


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "checkpoint"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def with_code_of_its_own(folder: Path, ran: Path) -> None:
    (folder / "modeling_own.py").write_text(CODE.format(str(ran)))
    change(folder / "config.json", auto_map={"AutoConfig": "modeling_own.Config", "AutoModel": "modeling_own.Model"})


def with_a_processor_of_its_own(folder: Path, ran: Path) -> None:
    (folder / "processing_own.py").write_text(CODE.format(str(ran)))
    for path in (folder / "processor_config.json", folder / "preprocessor_config.json"):
        if path.exists():
            change(path, auto_map={"AutoProcessor": "processing_own.Own"}, processor_class="Own")


def with_pickled_weights(folder: Path, ran: Path) -> None:
    for path in folder.glob("*.safetensors"):
        path.unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(ran)))


def with_pickled_weights_beside_its_own(folder: Path, ran: Path) -> None:
    (folder / "weights.pt").write_bytes(pickle.dumps(Trap(ran)))


def with_a_template_that_reaches_out(folder: Path, ran: Path) -> None:
    reach = "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ cycler.__init__.__globals__.os.system('touch " + str(ran)
    (folder / "chat_template.jinja").write_text(reach + "') }}")


def truncated(folder: Path, ran: Path) -> None:
    [path] = folder.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def with_a_header_of_terabytes(folder: Path, ran: Path) -> None:
    [path] = folder.glob("*.safetensors")
    path.write_bytes((2**60).to_bytes(8, "little") + b"{}")


def without_weights(folder: Path, ran: Path) -> None:
    [path] = folder.glob("*.safetensors")
    path.unlink()


def of_another_family(folder: Path, ran: Path) -> None:
    change(folder / "config.json", model_type="llama")


def without_a_tokenizer(folder: Path, ran: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


def with_a_thousand_layers_too_many(folder: Path, ran: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = 10**9
    (folder / "config.json").write_text(json.dumps(config))


def with_an_endless_vocabulary(folder: Path, ran: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["vocab_size"] = 2**40
    (folder / "config.json").write_text(json.dumps(config))


def with_a_nested_config(folder: Path, ran: Path) -> None:
    (folder / "config.json").write_text('{"a":' * 100_000)


def with_a_config_that_is_a_list(folder: Path, ran: Path) -> None:
    (folder / "config.json").write_text("[]")


def with_a_long_template(folder: Path, ran: Path) -> None:
    (folder / "chat_template.jinja").write_text("a" * 300_000)


HOSTILE: tuple[Callable[[Path, Path], None], ...] = (
    with_code_of_its_own,
    with_pickled_weights,
    with_pickled_weights_beside_its_own,
    truncated,
    with_a_header_of_terabytes,
    without_weights,
    of_another_family,
    without_a_tokenizer,
    with_a_thousand_layers_too_many,
    with_an_endless_vocabulary,
    with_a_nested_config,
    with_a_config_that_is_a_list,
    with_a_long_template,
)


@pytest.mark.parametrize("spoil", HOSTILE, ids=lambda spoil: spoil.__name__)
def test_a_checkpoint_that_is_no_guard_is_refused_in_a_sentence(
    spoil: Callable[[Path, Path], None], folder: Path, tmp_path: Path
) -> None:
    spoil(folder, tmp_path / "ran")
    with pytest.raises(CheckpointNotUsable) as caught:
        HfEngine(str(folder), device="cpu", threads=1)
    assert str(folder) in str(caught.value) and not (tmp_path / "ran").exists()


@pytest.mark.parametrize("spoil", [with_a_processor_of_its_own, with_a_template_that_reaches_out])
def test_code_beside_a_checkpoint_is_not_run(spoil: Callable[[Path, Path], None], folder: Path, tmp_path: Path) -> None:
    spoil(folder, tmp_path / "ran")
    try:
        load_processor(str(folder)).apply_chat_template([{"role": "user", "content": "a"}], tokenize=False)
        load_model(str(folder), dtype=None)
    except Exception as error:  # noqa: BLE001  (any refusal will do)
        assert "ran" not in type(error).__name__
    assert not (tmp_path / "ran").exists()


def test_the_checkpoint_as_it_is_made_is_taken(tiny: Path) -> None:
    check_folder(tiny)


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "why"), [("config.json", "was changed"), ("own.py", "was added"), ("", "is missing")])
def test_a_file_that_changed_since_registration_is_told_and_items_wait(
    folder: Path, name: str, why: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded_engine, "_loaded", None)
    version = ModelVersion.objects.create(
        name="pinned", checkpoint=str(folder), files=files_of(folder), status=VersionStatus.PRODUCTION
    )
    item = make_item(status=ItemStatus.PENDING, predicted=False)
    path = folder / name if name else next(folder.glob("*.safetensors"))
    if name:
        path.write_text((path.read_text() if path.exists() else "") + "\n")
    else:
        path.unlink()
    with pytest.raises(CheckpointNotUsable, match=why):
        engine_for(version)
    with pytest.raises(CheckpointChanged, match=why):
        bring_checkpoint(version)
    version.refresh_from_db()
    client = Client()
    client.force_login(make_user(Role.LEAD))
    page = client.get(f"/training/versions/{version.pk}/").text
    assert path.name in page and why in page
    assert Item.objects.get(pk=item.pk).status == ItemStatus.PENDING


@pytest.mark.django_db
def test_a_checkpoint_that_is_as_registered_is_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaded_engine, "_loaded", None)
    version = ModelVersion.objects.create(name="pinned", checkpoint=str(folder), files=files_of(folder))
    (folder / "MODEL_CARD.md").write_text("A card beside it changes nothing.")
    assert engine_for(version)
    assert len(files_of(folder)) >= 4
