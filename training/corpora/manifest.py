"""Find the benchmarks of a path: a file, a folder of files, or a data set with a manifest.json."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardapp.guard.taxonomy import Task
from training.corpora.benchmark_rows import task_of
from training.corpora.records import FileNotReadable

MANIFEST = "manifest.json"
# prefix of the role of benchmark files in a manifest
ROLE = "benchmark"
ENDINGS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet")
# Its harmless rows are written to look harmful.
PROVOKING = "xstest"


@dataclass(frozen=True, slots=True)
class BenchmarkFile:
    """A file to register. The media paths of its rows are relative to `media_root`."""

    path: Path
    name: str
    task: Task
    sha256: str
    media_root: Path
    licence: str = ""

    @property
    def over_refusal(self) -> bool:
        return PROVOKING in self.name and self.task is not Task.REFUSAL


def benchmark_files(path: Path) -> Iterator[BenchmarkFile]:
    """Yield the files to register. Raises FileNotReadable for a missing file or one that differs from its manifest."""
    if path.is_file():
        yield _file(path, media_root_near(path))
    elif (path / MANIFEST).is_file():
        yield from _of_manifest(path)
    elif found := sorted(file for file in path.glob("*") if file.is_file() and file.name.endswith(ENDINGS)):
        for file in found:
            yield _file(file, media_root_near(file))
    else:
        raise FileNotReadable(
            f"{path} is neither a file nor a folder with a {MANIFEST} or files ending in {', '.join(ENDINGS)}."
        )


def media_root_near(file: Path) -> Path:
    """The nearest folder with a `media` subfolder, starting from the file's own.

    Rows name their media relative to the data set.
    """
    nearby = [file.resolve().parent, *list(file.resolve().parents)[1:3]]
    return next((folder for folder in nearby if (folder / "media").is_dir()), nearby[0])


def sha256_of(path: Path) -> str:
    """Hex digest of a file. Raises FileNotReadable."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise FileNotReadable(f"{path}: {error.strerror}") from error


def _file(path: Path, media_root: Path, **fields: Any) -> BenchmarkFile:
    sha256 = sha256_of(path)
    return BenchmarkFile(
        path=path, name=slug(path), task=task_of(path), media_root=media_root, **{"sha256": sha256, **fields}
    )


def _of_manifest(folder: Path) -> Iterator[BenchmarkFile]:
    try:
        entries = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        wanted = [entry for entry in entries if str(entry.get("role", "")).startswith(ROLE)]
        places = [(folder / entry["path"], entry["sha256"], str(entry.get("license", ""))[:300]) for entry in wanted]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileNotReadable(f"{folder / MANIFEST} is not a manifest: {type(error).__name__}: {error}") from error
    for path, sha256, licence in places:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise FileNotReadable(f"{folder / MANIFEST} names {path}, which is outside its folder.")
        if sha256_of(path) != sha256:
            raise FileNotReadable(f"{path} does not have the sha256 stated in {MANIFEST}.")
        yield _file(path, folder, sha256=sha256, licence=licence)


def slug(path: Path) -> str:
    """Turn a file name into a benchmark name."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", path.name.partition(".")[0]).strip("-")[:80]
