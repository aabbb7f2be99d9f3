"""What a backup's manifest says: which files there are, and that nobody has changed it since."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

FILES = "files"


def signature(manifest: Mapping[str, Any]) -> str:
    """HMAC-SHA256 of the manifest without its signature, by GUARDAPP_BACKUP_KEY; "" without a key."""
    if not settings.BACKUP_KEY:
        return ""
    signed = json.dumps({name: manifest[name] for name in sorted(manifest) if name != "signature"}, sort_keys=True)
    return hmac.new(settings.BACKUP_KEY.encode(), signed.encode(), hashlib.sha256).hexdigest()


def listed(names: Iterable[str], folder: str) -> list[Path]:
    """The listed files of one of the folders, relative to it."""
    places = (Path(name) for name in names)
    return [Path(*place.parts[2:]) for place in places if place.parts[:2] == (FILES, folder)]


def leads_away(source: Path, name: str) -> bool:
    place = source
    for part in Path(name).parts:
        place /= part
        if place.is_symlink():
            return True
    return False


def is_signed(manifest: Mapping[str, Any]) -> bool:
    """Whether the manifest is signed by the key, if there is one."""
    return not settings.BACKUP_KEY or hmac.compare_digest(str(manifest.get("signature", "")), signature(manifest))


def places_in(target: Path, names: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """Each name with its place below `target`, whose folder is made. A place that a link leads out of is left out."""
    for relative in names:
        place = target / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.parent.resolve().is_relative_to(target.resolve()):
            yield relative, place
