"""Back up everything to one folder: database, media, models, snapshots, runs. Restore while nothing runs.

A backup can be made while the product runs. Media in a bucket are copied unless they are to stay there; a restore puts
them where media are configured then, in a bucket or on disk.

The database is copied first. The files that its rows name were written before the rows and never change, so that the
files copied afterwards include all that the database copy needs.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from annotation.media import bucket
from annotation.models import Item, User
from guardapp.guard.media.errors import MediaError
from training.errors import TrainingError
from training.installation.bucket_backup import copy_from_bucket, copy_to_bucket
from training.installation.listed_files import FILES, is_signed, leads_away, listed, places_in, signature

FORMAT = 1
MEDIA = "media"
MANIFEST, SECRET = "manifest.json", "secret_key"
DATABASE = {"sqlite": "database.sqlite3", "postgresql": "database.dump"}
CHUNK = 1 << 20
Echo = Callable[[str], None]


class BackupNotPossible(TrainingError):
    """The backup cannot be made."""


class RestoreNotPossible(TrainingError):
    """The backup cannot be restored here."""


@dataclass(frozen=True, slots=True)
class Copied:
    """Size of the copied files besides the database."""

    files: int
    bytes: int


def folders() -> dict[str, Path]:
    """Source folders by their names in the backup."""
    return {
        MEDIA: Path(settings.MEDIA_ROOT),
        "models": Path(settings.MODELS_DIR),
        "snapshots": Path(settings.SNAPSHOTS_DIR),
        "runs": Path(settings.RUNS_DIR),
    }


def back_up(target: Path, echo: Echo, *, without_media: bool = False) -> Copied:
    """Create `target`, which must not exist yet; it appears atomically. `without_media` leaves media in the bucket.

    Raises BackupNotPossible.
    """
    if without_media and not bucket.in_use():
        raise BackupNotPossible("Media are only on this disk, so they cannot be left out.")
    if target.exists():
        raise BackupNotPossible(f"{target} already exists.")
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / FILES).mkdir(parents=True)
    partial.chmod(0o777 & ~int(settings.UMASK, 8))
    vendor = _vendor(BackupNotPossible)
    try:
        echo("copying the database")
        _COPY[vendor](partial / DATABASE[vendor])
        digests = {DATABASE[vendor]: _sha256(partial / DATABASE[vendor])}
        for name, folder in folders().items():
            if name == MEDIA and without_media:
                continue
            echo(f"copying {name}")
            copied = (
                copy_from_bucket(partial / FILES / name)
                if name == MEDIA and bucket.in_use()
                else _copy_folder(folder, partial / FILES / name)
            )
            digests |= {str(path.relative_to(partial)): digest for path, digest in copied}
        kept = settings.DATA_DIR / SECRET
        if kept.exists():
            digests[SECRET] = _copy(kept, partial / SECRET)
        manifest = {
            "format": FORMAT,
            "at": timezone.now().isoformat(),
            "database": vendor,
            "migrations": _migrations(),
            "sha256": digests,
            "media_left_in": bucket.place().url if without_media else "",
        }
        manifest["signature"] = signature(manifest)
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1))
        partial.rename(target)
    except (OSError, sqlite3.Error, MediaError) as error:
        raise BackupNotPossible(f"{type(error).__name__}: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Copied(len(digests) - 1, sum((target / name).stat().st_size for name in digests))


def restore(source: Path, echo: Echo, *, replace: bool = False) -> Copied:
    """Replace this installation by a backup; `replace` allows it to be non-empty. The caller migrates afterwards.

    Every file is verified before anything is changed, and nothing is taken but what the manifest lists; with
    GUARDAPP_BACKUP_KEY, the manifest must be signed with it. Raises RestoreNotPossible.
    """
    manifest = _manifest(source)
    vendor = _vendor(RestoreNotPossible)
    if manifest["database"] != vendor:
        raise RestoreNotPossible(f"The backup is of {manifest['database']}, this installation has {vendor}.")
    if not replace and _in_use():
        raise RestoreNotPossible("This installation is not empty. Restore into a new one, or use --replace.")
    if DATABASE[vendor] not in manifest["sha256"]:
        raise RestoreNotPossible(f"The backup does not list its database, {DATABASE[vendor]}.")
    echo("checking the backup")
    for name, digest in manifest["sha256"].items():
        if leads_away(source, name):
            raise RestoreNotPossible(f"{name} is a link in the backup. Links are not followed.")
        if not (source / name).is_file() or _sha256(source / name) != digest:
            raise RestoreNotPossible(f"{name} is missing from the backup, or damaged.")
    if manifest.get("media_left_in"):
        echo(
            f"the backup holds no media: it was left in {manifest['media_left_in']}, which "
            "GUARDAPP_MEDIA_URL has to name"
        )
    try:
        for name, folder in folders().items():
            echo(f"copying {name}")
            if name == MEDIA and bucket.in_use():
                copy_to_bucket(source / FILES / name, listed(manifest["sha256"], name))
                continue
            for relative, place in places_in(folder, listed(manifest["sha256"], name)):
                _copy(source / FILES / name / relative, place)
        if SECRET in manifest["sha256"]:
            _copy(source / SECRET, settings.DATA_DIR / SECRET)
            (settings.DATA_DIR / SECRET).chmod(0o600)
        echo("restoring the database")
        _RESTORE[vendor](source / DATABASE[vendor])
    except (OSError, sqlite3.Error, MediaError) as error:
        raise RestoreNotPossible(f"{type(error).__name__}: {error}") from error
    return Copied(len(manifest["sha256"]) - 1, sum((source / name).stat().st_size for name in manifest["sha256"]))


def _vendor(error: type[TrainingError]) -> str:
    if connection.vendor not in DATABASE:
        raise error(f"Backups of {connection.vendor} are not supported.")
    return connection.vendor


def _manifest(source: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((source / MANIFEST).read_text())
        if manifest["format"] != FORMAT:
            raise RestoreNotPossible(f"The backup has format {manifest['format']}, this program reads {FORMAT}.")
        unknown = sorted(set(manifest["migrations"]) - _known_migrations())
        names = [Path(name) for name in manifest["sha256"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RestoreNotPossible(f"{source} is not a backup ({type(error).__name__}).") from error
    if any(name.is_absolute() or ".." in name.parts for name in names):
        raise RestoreNotPossible("The backup names files outside itself.")
    if not is_signed(manifest):
        raise RestoreNotPossible("The backup is not signed with GUARDAPP_BACKUP_KEY, or was changed since.")
    if unknown:
        raise RestoreNotPossible(f"The backup is of a newer version of this program: it has {', '.join(unknown)}.")
    return manifest


def _in_use() -> bool:
    tables = connection.introspection.table_names()
    return (User._meta.db_table in tables and User.objects.exists()) or (
        Item._meta.db_table in tables and Item.objects.exists()
    )


def _migrations() -> list[str]:
    return sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations())


def _known_migrations() -> set[str]:
    from django.db.migrations.loader import MigrationLoader

    return {f"{app}.{name}" for app, name in MigrationLoader(None, ignore_no_migrations=True).disk_migrations}


def _copy_sqlite(target: Path) -> None:
    """Use SQLite's online backup, which is consistent despite concurrent writes."""
    connection.ensure_connection()
    with sqlite3.connect(target) as copy:
        connection.connection.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    copy.close()


def _restore_sqlite(source: Path) -> None:
    connection.close()
    place = Path(str(connection.settings_dict["NAME"]))
    fresh = place.with_name(f".{place.name}.restored")
    shutil.copyfile(source, fresh)
    checked = sqlite3.connect(fresh)
    [(result,)] = checked.execute("PRAGMA integrity_check").fetchall()
    checked.close()
    if result != "ok":
        fresh.unlink()
        raise RestoreNotPossible(f"The database in the backup is damaged: {result}")
    # files of the old database, which would be applied to the new one
    for ending in ("-wal", "-shm"):
        place.with_name(place.name + ending).unlink(missing_ok=True)
    fresh.replace(place)


def _copy_postgresql(target: Path) -> None:
    _run(BackupNotPossible, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")


def _restore_postgresql(source: Path) -> None:
    connection.close()
    _run(
        RestoreNotPossible,
        "pg_restore",
        "--clean",
        "--if-exists",
        "--no-owner",
        "--no-privileges",
        "--single-transaction",
        "--exit-on-error",
        f"--dbname={connection.settings_dict['NAME']}",
        str(source),
    )


def _run(error: type[TrainingError], *command: str) -> None:
    """Run one of PostgreSQL's client programs on our database.

    The password is passed in the environment, where no process list shows it.
    """
    database = connection.settings_dict
    names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "NAME"}
    environment = os.environ | {variable: str(database[name]) for variable, name in names.items() if database.get(name)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError as missing:
        raise error(f"{command[0]} is not installed here: it comes with PostgreSQL's client programs.") from missing
    if done.returncode:
        raise error(f"{command[0]} failed: {done.stderr.strip()[-1_000:]}")


_COPY: dict[str, Callable[[Path], None]] = {"sqlite": _copy_sqlite, "postgresql": _copy_postgresql}
_RESTORE: dict[str, Callable[[Path], None]] = {"sqlite": _restore_sqlite, "postgresql": _restore_postgresql}


def _copy_folder(source: Path, target: Path) -> Iterator[tuple[Path, str]]:
    """Copy a folder, yielding each file and its sha256.

    Files that vanish in the meantime are unreferenced and skipped; links are skipped because they lead outside.
    """
    for path in sorted(source.rglob("*")) if source.is_dir() else ():
        if path.is_symlink() or not path.is_file():
            continue
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield place, _copy(path, place)
        except FileNotFoundError:
            continue


def _copy(source: Path, target: Path) -> str:
    digest = hashlib.sha256()
    partial = target.with_name(f".{target.name}.partial")
    with source.open("rb") as read, partial.open("wb") as written:
        while chunk := read.read(CHUNK):
            digest.update(chunk)
            written.write(chunk)
    shutil.copystat(source, partial)
    partial.chmod(stat.S_IMODE(partial.stat().st_mode) & ~int(settings.UMASK, 8))
    partial.replace(target)
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
