"""Preparations at every start. Each step does nothing if there is nothing to do."""

import hashlib
import stat
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

from annotation.media import bucket
from annotation.models import Item
from annotation.people.accounts import create_first_accounts
from annotation.predictions.loaded_engine import ensure_production_version
from annotation.prometheus import forget_old_figures
from training.schedules.schedules import forget_old_bells

FINGERPRINT = ".fingerprint"


def prepare(echo: Callable[[str], None]) -> None:
    """Prepare database, static files, first accounts and first guard; `say` receives lines for the console."""
    echo(f"data folder {settings.DATA_DIR}")
    close_data_folder(Path(settings.DATA_DIR))
    echo("bringing the database up to date")
    call_command("migrate", verbosity=0, interactive=False)
    if bucket.in_use() and bucket.make():
        echo(f"made the bucket of {bucket.place().url}")
    forget_old_bells()
    forget_old_figures()
    if collect_static_files():
        echo("collected static files")
    accounts = create_first_accounts()
    if accounts:
        echo("accounts; the passwords are shown this once:")
        for account in accounts:
            echo(f"    {account.username:<10} {account.password}")
    echo(f"the guard in production is {ensure_production_version()}")


def close_data_folder(folder: Path) -> None:
    """Take from others what GUARDAPP_UMASK takes, also where an earlier release made the folder."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    try:
        folder.chmod(mode & ~int(settings.UMASK, 8))
    except PermissionError:  # another user's, such as a volume of a container
        pass


def demo_is_wanted() -> bool:
    """Only if no items exist yet."""
    return settings.DEMO_ITEMS > 0 and not Item.objects.exists()


def collect_static_files() -> bool:
    """Collect static files unless they are up to date; comparing is much faster than compressing."""
    stamp = Path(settings.STATIC_ROOT) / FINGERPRINT
    present = _fingerprint()
    if stamp.exists() and stamp.read_text() == present:
        return False
    call_command("collectstatic", verbosity=0, interactive=False)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(present)
    return True


def _fingerprint() -> str:
    digest = hashlib.sha256(repr(settings.STORAGES["staticfiles"]).encode())
    for finder in get_finders():
        for path, storage in finder.list([]):
            status = Path(storage.path(path)).stat()
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
