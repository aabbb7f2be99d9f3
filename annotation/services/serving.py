"""Which version serves, and its engine: one loaded engine a process, swapped when production changes."""

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, transaction

from annotation.models import ModelVersion
from annotation.status import VersionStatus
from guardapp.guard.engines.base import Engine

STARTER = "starter"


@dataclass(frozen=True, slots=True)
class _Loaded:
    version_id: int
    engine: Engine


_loaded: _Loaded | None = None


def production_version() -> ModelVersion:
    """The version that serves now. Raises ModelVersion.DoesNotExist where setup has not run."""
    return ModelVersion.objects.get(status=VersionStatus.PRODUCTION)


def engine_for(version: ModelVersion) -> Engine:
    """The version's engine. Loads it where this process holds another one, which is let go first: two may not fit in memory.

    Raises CheckpointNotUsable.
    """
    global _loaded  # noqa: PLW0603  (one engine a process is the point)
    if _loaded is None or _loaded.version_id != version.pk:
        _loaded = None
        _loaded = _Loaded(version.pk, _load(version.checkpoint))
    return _loaded.engine


def ensure_production_version() -> ModelVersion:
    """The production version; made of GUARD_MODEL where there is none yet. Safe to call at every start, from several places."""
    try:
        return production_version()
    except ModelVersion.DoesNotExist:
        pass
    folder = Path(settings.GUARD_MODEL)
    checkpoint = str(folder.resolve()) if folder.is_dir() else settings.GUARD_MODEL  # workers may start elsewhere
    try:
        with transaction.atomic():
            return ModelVersion.objects.create(
                name=_name_of(checkpoint), checkpoint=checkpoint, status=VersionStatus.PRODUCTION,
                description="The guard that this installation started with")
    except IntegrityError:  # somebody else made it meanwhile
        return production_version()


def _name_of(checkpoint: str) -> str:
    if Path(checkpoint) == settings.BASE_DIR / "guardapp" / "starter":
        return STARTER
    return Path(checkpoint).name[:100]


def _load(checkpoint: str) -> Engine:
    from guardapp.guard.engines.hf import HfEngine  # the marked exception: torch is loaded where a guard is, nowhere else

    return HfEngine(checkpoint, device=None if settings.DEVICE == "auto" else settings.DEVICE, threads=settings.WORKER_THREADS)
