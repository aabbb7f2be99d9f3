"""The frames that a job reads: in place if media are on disk, else downloaded from the bucket before it starts."""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from annotation.media import bucket
from annotation.media.files import frames_at
from guardapp.guard.media.decode import MediaError
from training.errors import MediaNotReached

FOLDER = "media"
DATASETS = ("dataset", "replay_dataset")  # config fields


def with_media(config: dict[str, Any], run_dir: Path) -> dict[str, Any]:
    """Return the config with a media root that holds every frame of its datasets. Raises MediaNotReached."""
    if not bucket.in_use():
        return config
    root = run_dir / FOLDER
    try:
        for folder in sorted(
            {folder for name in DATASETS if config.get(name) for folder in _folders(Path(config[name]))}
        ):
            _link(frames_at(folder), root / folder)
    except MediaError as error:
        raise MediaNotReached(str(error)) from error
    return config | {"media_root": str(root)}


def forget_media(run_dir: Path) -> None:
    shutil.rmtree(run_dir / FOLDER, ignore_errors=True)


def _folders(dataset: Path) -> Iterable[str]:
    with dataset.open(encoding="utf-8") as lines:
        for line in lines:
            for medium in json.loads(line).get("media") or ():
                yield from {str(Path(frame["path"]).parent) for frame in medium["frames"]}


def _link(source: Path, target: Path) -> None:
    """Hard-link the frames, since the cache may drop its own copies while the job runs."""
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if not (target / path.name).exists():
            os.link(path, target / path.name)
