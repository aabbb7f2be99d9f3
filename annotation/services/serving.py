"""Which version serves, and its engine: one loaded engine a process, swapped when production changes; a shadow's one beside it."""

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, transaction

from annotation.models import ModelVersion
from annotation.status import VersionStatus
from guardapp.guard.engines.base import Engine, EngineError
from guardapp.guard.engines.openai_server import OpenAIServerEngine

STARTER = "starter"


@dataclass(frozen=True, slots=True)
class _Loaded:
    version_id: int
    engine: Engine


_loaded: _Loaded | None = None
_shadow: _Loaded | None = None


def production_version() -> ModelVersion:
    """The version that serves now. Raises ModelVersion.DoesNotExist where setup has not run."""
    return ModelVersion.objects.get(status=VersionStatus.PRODUCTION)


def engine_for(version: ModelVersion) -> Engine:
    """The version's engine. Loads it where this process holds another one, which is let go first: two may not fit in memory.

    Raises CheckpointNotUsable.
    """
    global _loaded, _shadow  # noqa: PLW0603  (one engine a process is the point)
    if _loaded is None or _loaded.version_id != version.pk:
        if _shadow is not None and _shadow.version_id == version.pk:  # it was promoted
            _loaded, _shadow = _shadow, None
        else:
            _loaded = None
            _loaded = _Loaded(version.pk, _load_or_tell(version))
    return _loaded.engine


def shadow_engine_for(version: ModelVersion) -> Engine:
    """The shadow version's engine, beside the one that serves: a swap would make items wait. Raises CheckpointNotUsable."""
    global _shadow  # noqa: PLW0603
    if _shadow is None or _shadow.version_id != version.pk:
        _shadow = None
        _shadow = _Loaded(version.pk, _load_or_tell(version))
    return _shadow.engine


def release_shadow() -> None:
    """Give the shadow engine's memory back."""
    global _shadow  # noqa: PLW0603
    _shadow = None


def checkpoint_of(version: ModelVersion) -> str:
    """Where the version's checkpoint is now: a folder or a hub id. What lies in the data folder is stored relative to it, and the
    starter by its name, so that a data folder or an installation can move."""
    if version.checkpoint == STARTER:
        return str(settings.BASE_DIR / "guardapp" / STARTER)
    inside = settings.DATA_DIR / version.checkpoint
    return str(inside) if inside.is_dir() else version.checkpoint


def stored_checkpoint(folder: Path) -> str:
    """How a local folder is written in ModelVersion.checkpoint; the inverse of `checkpoint_of`."""
    folder = folder.resolve()
    if folder == settings.BASE_DIR / "guardapp" / STARTER:
        return STARTER
    return str(folder.relative_to(settings.DATA_DIR) if folder.is_relative_to(settings.DATA_DIR) else folder)


def _load_or_tell(version: ModelVersion) -> Engine:
    """A guard that cannot be loaded says so where leads see it: its items wait, and the log alone would keep it a secret."""
    try:
        engine = _load(checkpoint_of(version))
    except EngineError as error:
        ModelVersion.objects.filter(pk=version.pk).update(load_error=str(error)[:2_000])
        raise
    ModelVersion.objects.filter(pk=version.pk).exclude(load_error="").update(load_error="")
    return engine


def ensure_production_version() -> ModelVersion:
    """The production version; made of GUARD_MODEL where there is none yet. Safe to call at every start, from several places."""
    try:
        return production_version()
    except ModelVersion.DoesNotExist:
        pass
    folder = Path(settings.GUARD_MODEL)
    checkpoint = stored_checkpoint(folder) if folder.is_dir() else settings.GUARD_MODEL
    try:
        with transaction.atomic():
            return ModelVersion.objects.create(
                name=Path(checkpoint).name[:100], checkpoint=checkpoint, status=VersionStatus.PRODUCTION,
                description="The guard that this installation started with")
    except IntegrityError:  # somebody else made it meanwhile
        return production_version()


def _load(checkpoint: str) -> Engine:
    if settings.VLLM_URLS:
        return OpenAIServerEngine(checkpoint, settings.VLLM_URLS, key=settings.VLLM_KEY, structured=settings.VLLM_STRUCTURED)
    from guardapp.guard.engines.hf import HfEngine  # the marked exception: torch is loaded where a guard is, nowhere else

    return HfEngine(checkpoint, device=None if settings.DEVICE == "auto" else settings.DEVICE, threads=settings.WORKER_THREADS)
