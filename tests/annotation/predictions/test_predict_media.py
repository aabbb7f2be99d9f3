"""Items with media: what the guard sees of them, and what cannot be read."""

from pathlib import Path

import pytest
from PIL import Image
from pytest_django import Settings

from annotation.media.store import register, store
from annotation.models import Item, ItemMedia, MediaAsset, ModelVersion
from annotation.predictions.turns import Predicted
from annotation.status import ItemStatus
from guardapp.guard.media.values import DECODER
from guardapp.guard.verdict import Sample
from tests.annotation.predictions.test_predict import pending, predict
from tests.annotation.scripted_engine import HARMFUL, ScriptedEngine
from tests.factories import production
from tests.guard.media.samples import make_video, numbered

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_audit(settings: Settings) -> None:
    settings.AUDIT_SHARE = 0.0


@pytest.fixture
def version() -> ModelVersion:
    return production()


def attach(item: Item, content: bytes | Path) -> MediaAsset:
    stored = store(content)
    ids = register([stored])
    ItemMedia.objects.create(item=item, asset_id=ids[stored.sha256], position=0)
    return MediaAsset.objects.get(sha256=stored.sha256)


def test_the_guard_sees_the_frames_and_the_prediction_says_which(
    version: ModelVersion, tmp_path: Path, settings: Settings
) -> None:
    seen: list[Sample] = []

    def says(sample: Sample, draw: int) -> str:
        seen.append(sample)
        return HARMFUL

    clip = make_video(tmp_path / "clip.mp4", frames=20, fps=10)
    first, second = pending(2, modality="video")
    for item in (first, second):
        attach(item, clip)
    settings.ROLLOUTS = 0
    assert predict(ScriptedEngine(says), version).count == 2
    first.refresh_from_db()
    assert first.prediction is not None
    [row] = first.prediction.media_seen
    asset = MediaAsset.objects.get()
    assert row["asset"] == asset.sha256 and row["timestamps"] == [0.0, 0.5, 1.0, 1.5]
    assert row["folder"] == f"frames/{asset.sha256[:2]}/{asset.sha256}/starter.{DECODER}"
    frames = [frame.path for frame in seen[0].media[0].frames]
    assert [path.parent for path in frames] == [settings.MEDIA_ROOT / row["folder"]] * 4 and all(
        path.exists() for path in frames
    )
    # one set of frames serves both items
    assert [frame.path for frame in seen[1].media[0].frames] == frames


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda content: content[: len(content) // 2], "media_truncated"),
        (lambda content: content[:12] + b"XXXX" + content[16:], "media_corrupt"),
    ],
)
def test_media_that_cannot_be_read_fails_its_own_item_at_once_by_name(
    version: ModelVersion, tmp_path: Path, damage: object, code: str
) -> None:
    picture = tmp_path / "picture.png"
    Image.fromarray(numbered(5, 96, 96)).save(picture)
    good, bad = pending(2, modality="text-image")
    attach(good, picture)
    attach(bad, damage(picture.read_bytes()))  # type: ignore[operator]
    assert predict(ScriptedEngine(), version) == Predicted(claimed=2, count=1, failed=1)
    bad.refresh_from_db()
    assert (bad.status, bad.error_code, bad.attempts) == (ItemStatus.PREDICTION_FAILED, code, 1)
    assert bad.error_message
    good.refresh_from_db()
    assert good.status == ItemStatus.READY


def test_a_media_file_that_is_gone_is_named(version: ModelVersion, settings: Settings) -> None:
    [item] = pending(modality="image")
    asset = MediaAsset.objects.create(sha256="0" * 64, kind="image", mime="image/png", size=1, path="assets/gone")
    ItemMedia.objects.create(item=item, asset=asset, position=0)
    predict(ScriptedEngine(), version)
    item.refresh_from_db()
    assert (item.status, item.error_code) == (ItemStatus.PREDICTION_FAILED, "media_not_a_file")
