"""The production version and its engine.

Each process keeps one engine loaded, swapped when production changes, and possibly a shadow version's engine.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, transaction

from annotation.models import ModelVersion
from annotation.predictions.calibration import adopt_shipped
from annotation.predictions.checkpoints import check_files, fetch_checkpoint, files_of
from annotation.predictions.production import production_version
from annotation.status import VersionStatus
from guardapp.guard.engines.adapters import Adapter, adapter_in, names_of, take_off
from guardapp.guard.engines.kinds import EngineOptions, engine_that_serves
from guardapp.guard.engines.openai_server import OpenAIServerEngine
from guardapp.guard.media.errors import MediaError
from guardapp.guard.protocol import CheckpointNotUsable, Engine, EngineError

STARTER = "starter"
RETRY_S = 30.0  # before retrying a version that servers refused, while its predecessor serves

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Loaded:
    version_id: int
    engine: Engine
    version: ModelVersion | None = None
    retry_at: float = 0.0  # a time.monotonic() value, before which no other version is tried


_loaded: _Loaded | None = None
_shadow: _Loaded | None = None


def engine_for(version: ModelVersion) -> Engine:
    """Return the version's engine, loading it if necessary. Raises CheckpointNotUsable.

    An engine of another version is released first, since two may not fit in memory.
    """
    global _loaded, _shadow  # noqa: PLW0603  (one engine a process is the point)
    if _loaded is None or _loaded.version_id != version.pk:
        if _shadow is not None and _shadow.version_id == version.pk:  # it was promoted
            _loaded, _shadow = replace(_shadow, version=version), None
        else:
            # an engine on a server can remain in use: see `engine_or_former`
            before = _loaded if settings.VLLM_URLS else None
            _loaded = None
            try:
                _loaded = _Loaded(version.pk, _load_or_record_error(version), version)
            except EngineError:
                _loaded = before
                raise
            _forget_adapters(_loaded, before)
    return _loaded.engine


def engine_or_former(
    version: ModelVersion, engine_of: Callable[[ModelVersion], Engine] | None = None
) -> tuple[ModelVersion, Engine]:
    """Return the version's engine, or the last one this process used if the servers refuse the version.

    The error is then logged and shown to leads. Raises CheckpointNotUsable if there is no earlier engine.
    """
    global _loaded  # noqa: PLW0603
    former = _loaded
    if (
        former is not None
        and former.version is not None
        and former.retry_at > time.monotonic()
        and former.version_id != version.pk
    ):
        return former.version, former.engine
    try:
        return version, (engine_of or engine_for)(version)
    except EngineError:
        if _loaded is None or _loaded.version is None or not settings.VLLM_URLS:
            raise
        logger.exception("%s cannot be served: %s goes on", version, _loaded.version)
        _loaded = replace(_loaded, retry_at=time.monotonic() + RETRY_S)
        assert _loaded.version is not None
        return _loaded.version, _loaded.engine


def shadow_engine_for(version: ModelVersion) -> Engine:
    """Return the shadow version's engine. Raises CheckpointNotUsable.

    It is loaded alongside the production engine, because swapping would delay items.
    """
    global _shadow  # noqa: PLW0603
    if _shadow is None or _shadow.version_id != version.pk:
        _shadow = None
        _shadow = _Loaded(version.pk, _load_or_record_error(version))
    return _shadow.engine


def release_engines() -> None:
    """Release all engines of this process and free their device memory."""
    global _loaded, _shadow  # noqa: PLW0603
    engines = [held.engine for held in (_loaded, _shadow) if held is not None]
    _loaded = _shadow = None
    for engine in engines:
        if (forget := getattr(engine, "forget", None)) is not None:
            forget()


def release_shadow() -> None:
    """Free the shadow engine's memory."""
    global _shadow  # noqa: PLW0603
    _shadow = None


def checkpoint_of(version: ModelVersion) -> str:
    """Return the version's checkpoint: a folder or a hub id.

    Paths in the data folder are stored relative to it, and the starter by name, so that both can be moved.
    """
    if version.checkpoint == STARTER:
        return str(settings.BASE_DIR / "guardapp" / STARTER)
    inside = settings.DATA_DIR / version.checkpoint
    return str(inside) if inside.is_dir() else version.checkpoint


def stored_checkpoint(folder: Path) -> str:
    """Return the value of ModelVersion.checkpoint for a local folder; the inverse of `checkpoint_of`."""
    folder = folder.resolve()
    if folder == settings.BASE_DIR / "guardapp" / STARTER:
        return STARTER
    return str(folder.relative_to(settings.DATA_DIR) if folder.is_relative_to(settings.DATA_DIR) else folder)


def _load_or_record_error(version: ModelVersion) -> Engine:
    """Load the version's engine, recording any error on the version, where leads see why items are waiting."""
    try:
        fetch_checkpoint(version.checkpoint)
        # the starter comes with the product, whose updates may bring another one
        if version.checkpoint != STARTER:
            check_files(Path(checkpoint_of(version)), version.files)
        engine = _load_version(version)
    except (EngineError, MediaError) as error:
        ModelVersion.objects.filter(pk=version.pk).update(load_error=str(error)[:2_000])
        if isinstance(error, MediaError):
            raise CheckpointNotUsable(str(error)) from error
        raise
    ModelVersion.objects.filter(pk=version.pk).exclude(load_error="").update(load_error="")
    return engine


def _load_version(version: ModelVersion) -> Engine:
    """Load the version's checkpoint, or its adapter on servers that only have the parent's checkpoint."""
    adapter = adapter_of(version) if settings.VLLM_URLS else None
    try:
        return _load(checkpoint_of(version))
    except CheckpointNotUsable:
        if adapter is None:
            raise
    return _make(checkpoint_of(version), adapter)


def adapter_of(version: ModelVersion) -> Adapter | None:
    """Return the LoRA adapter of a version trained on its parent; None if there is none."""
    folder = adapter_in(checkpoint_of(version))
    if folder is None or version.parent is None:
        return None
    return Adapter(version.name, str(folder), checkpoint_of(version.parent))


def _forget_adapters(now: _Loaded, before: _Loaded | None) -> None:
    """Unload adapters, except production's, its predecessor's (other processes may still use it) and shadows'."""
    if not isinstance(now.engine, OpenAIServerEngine) or (
        now.engine.adapter is None and getattr(before and before.engine, "adapter", None) is None
    ):
        return
    shadows = ModelVersion.objects.filter(shadow_share__gt=0).values_list("name", flat=True)
    before_it = [before.version.name] if before and before.version else []
    names = names_of([*shadows, *before_it, *([now.version.name] if now.version else [])])
    if gone := take_off(now.engine.servers, names):
        logger.info("Unloaded %s", ", ".join(sorted(set(gone))))


def ensure_production_version() -> ModelVersion:
    """Return the production version, creating it from GUARD_MODEL if there is none. Safe to call concurrently.

    It gets the calibration that its folder ships with, if it has none.
    """
    version = _production_or_first()
    adopt_shipped(version, Path(checkpoint_of(version)))
    return version


def _production_or_first() -> ModelVersion:
    try:
        return production_version()
    except ModelVersion.DoesNotExist:
        pass
    folder = Path(settings.GUARD_MODEL)
    checkpoint = stored_checkpoint(folder) if folder.is_dir() else settings.GUARD_MODEL
    try:
        with transaction.atomic():
            return ModelVersion.objects.create(
                name=Path(checkpoint).name[:100],
                checkpoint=checkpoint,
                files=files_of(folder) if folder.is_dir() and checkpoint != STARTER else None,
                status=VersionStatus.PRODUCTION,
                description="The guard that this installation started with",
            )
    except IntegrityError:  # created concurrently
        return production_version()


def _load(checkpoint: str) -> Engine:
    return _make(checkpoint, None)


def _make(checkpoint: str, adapter: Adapter | None) -> Engine:
    options = EngineOptions(
        checkpoint,
        device=None if settings.DEVICE == "auto" else settings.DEVICE,
        threads=settings.WORKER_THREADS,
        context=settings.CONTEXT_TOKENS,
        urls=settings.VLLM_URLS,
        key=settings.VLLM_KEY,
        structured=settings.VLLM_STRUCTURED,
        adapter=adapter,
    )
    return engine_that_serves(settings.VLLM_URLS).make(options)
