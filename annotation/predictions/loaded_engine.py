"""Which version serves, and its engine: one loaded engine a process, swapped when production changes; a shadow's one
beside it.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, transaction

from annotation.models import ModelVersion
from annotation.predictions.checkpoints import fetch_checkpoint
from annotation.predictions.production import production_version
from annotation.status import VersionStatus
from guardapp.guard.engines.adapters import Adapter, adapter_in, names_of, take_off
from guardapp.guard.engines.kinds import EngineOptions, engine_that_serves
from guardapp.guard.engines.openai_server import OpenAIServerEngine
from guardapp.guard.media.errors import MediaError
from guardapp.guard.protocol import CheckpointNotUsable, Engine, EngineError

STARTER = "starter"
RETRY_S = 30.0  # at a version that servers do not take, while its predecessor goes on

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Loaded:
    version_id: int
    engine: Engine
    version: ModelVersion | None = None
    retry_at: float = 0.0  # a time.monotonic(): until then another version is not tried


_loaded: _Loaded | None = None
_shadow: _Loaded | None = None


def engine_for(version: ModelVersion) -> Engine:
    """The version's engine. Loads it where this process holds another one, which is let go first: two may not fit in
    memory.

    Raises CheckpointNotUsable.
    """
    global _loaded, _shadow  # noqa: PLW0603  (one engine a process is the point)
    if _loaded is None or _loaded.version_id != version.pk:
        if _shadow is not None and _shadow.version_id == version.pk:  # it was promoted
            _loaded, _shadow = replace(_shadow, version=version), None
        else:
            # what a server holds can go on: see `engine_or_former`
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
    """The version's engine; where servers do not take the version, the one before it that this process asked last goes
    on.

    What is wrong stands on the pages of leads and in the log meanwhile. Raises CheckpointNotUsable where there is none
    before it.
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
    """The shadow version's engine, beside the one that serves: a swap would make items wait. Raises
    CheckpointNotUsable.
    """
    global _shadow  # noqa: PLW0603
    if _shadow is None or _shadow.version_id != version.pk:
        _shadow = None
        _shadow = _Loaded(version.pk, _load_or_record_error(version))
    return _shadow.engine


def release_engines() -> None:
    """Let all guards of this process go, and give their memory back to the device."""
    global _loaded, _shadow  # noqa: PLW0603
    engines = [held.engine for held in (_loaded, _shadow) if held is not None]
    _loaded = _shadow = None
    for engine in engines:
        if (forget := getattr(engine, "forget", None)) is not None:
            forget()


def release_shadow() -> None:
    """Give the shadow engine's memory back."""
    global _shadow  # noqa: PLW0603
    _shadow = None


def checkpoint_of(version: ModelVersion) -> str:
    """Where the version's checkpoint is now: a folder or a hub id. What lies in the data folder is stored relative to
    it, and the starter by its name, so that a data folder or an installation can move."""
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


def _load_or_record_error(version: ModelVersion) -> Engine:
    """A guard that cannot be loaded says so where leads see it: its items wait, and the log alone would keep it a
    secret.
    """
    try:
        fetch_checkpoint(version.checkpoint)
        engine = _load_version(version)
    except (EngineError, MediaError) as error:
        ModelVersion.objects.filter(pk=version.pk).update(load_error=str(error)[:2_000])
        if isinstance(error, MediaError):
            raise CheckpointNotUsable(str(error)) from error
        raise
    ModelVersion.objects.filter(pk=version.pk).exclude(load_error="").update(load_error="")
    return engine


def _load_version(version: ModelVersion) -> Engine:
    """Servers that do not hold the version's merged checkpoint but its parent's take its adapter."""
    adapter = adapter_of(version) if settings.VLLM_URLS else None
    try:
        return _load(checkpoint_of(version))
    except CheckpointNotUsable:
        if adapter is None:
            raise
    return _make(checkpoint_of(version), adapter)


def adapter_of(version: ModelVersion) -> Adapter | None:
    """What training left of a version that was trained by LoRA on its parent."""
    folder = adapter_in(checkpoint_of(version))
    if folder is None or version.parent is None:
        return None
    return Adapter(version.name, str(folder), checkpoint_of(version.parent))


def _forget_adapters(now: _Loaded, before: _Loaded | None) -> None:
    """Servers keep the adapter that serves, the one before it (other processes may still ask for it) and a shadow's."""
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
    """The production version; made of GUARD_MODEL where there is none yet. Safe to call at every start, from several
    places.
    """
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
                status=VersionStatus.PRODUCTION,
                description="The guard that this installation started with",
            )
    except IntegrityError:  # somebody else made it meanwhile
        return production_version()


def _load(checkpoint: str) -> Engine:
    return _make(checkpoint, None)


def _make(checkpoint: str, adapter: Adapter | None) -> Engine:
    options = EngineOptions(
        checkpoint,
        device=None if settings.DEVICE == "auto" else settings.DEVICE,
        threads=settings.WORKER_THREADS,
        urls=settings.VLLM_URLS,
        key=settings.VLLM_KEY,
        structured=settings.VLLM_STRUCTURED,
        adapter=adapter,
    )
    return engine_that_serves(settings.VLLM_URLS).make(options)
