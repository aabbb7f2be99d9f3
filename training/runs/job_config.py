"""Build a job's config: settings from the request, places from the state when the job starts."""

import hashlib
from pathlib import Path
from typing import Any

from django.conf import settings

from annotation.models import ModelVersion
from annotation.predictions.checkpoints import check_files, fetch_checkpoint
from annotation.predictions.loaded_engine import STARTER, checkpoint_of
from guardapp.guard.engines.kinds import engine_named
from guardapp.guard.media.errors import MediaError
from guardapp.guard.protocol import CheckpointNotUsable
from training.contract import ROWS
from training.errors import CheckpointChanged, EngineNotInstalled, MediaNotReached, MinedRowsDamaged, MiningNotFinished
from training.files import directory_of, file_of
from training.models import DatasetSnapshot, Evaluation, TrainingRun
from training.models.claims import RUN_CLAIMS
from training.recipes import SettingUnknown
from training.recipes.launch import gpus_here, launch_from, write_launch
from training.runs.known_rollouts import write_known
from training.snapshots.create import verify_snapshot
from training.snapshots.job_media import with_media
from training.status import RunKind, RunStatus


def prepare_run(run: TrainingRun, run_dir: Path) -> dict[str, Any]:
    """Return the config.json of a run that starts or resumes, and write its launch file.

    Raises EngineNotInstalled, SnapshotDamaged, MiningNotFinished, MinedRowsDamaged, LaunchNotUsable, SettingUnknown or
    MediaNotReached.
    """
    refuse_missing_engine(run.config)
    verify_snapshot(run.snapshot)
    bring_checkpoint(run.base_version)
    config: dict[str, Any] = run.config | places(
        kind=run.kind, base=run.base_version, snapshot=run.snapshot, mined_from=run.mined_from
    )
    if run.kind in (RunKind.MINE, RunKind.GRPO):
        config["vllm_url"] = address_of(config.get("server", ""))
    if run.kind == RunKind.MINE:
        config["known"] = write_known(run, config, run_dir)
    if run.mined_from is not None:
        verify_mined_rows(run.mined_from)
    config = with_media(config, run_dir)
    write_launch(run_dir, launch_from(run.launch), config, gpus=gpus_here(), machines=settings.TRAINING_MACHINES)
    RUN_CLAIMS.of(run).held().update(config=config)
    return config


def prepare_evaluation(evaluation: Evaluation, run_dir: Path) -> dict[str, Any]:
    """Return an evaluation's config. Raises EngineNotInstalled, SnapshotDamaged or MediaNotReached."""
    refuse_missing_engine(evaluation.config)
    verify_snapshot(evaluation.snapshot)
    bring_checkpoint(evaluation.version)
    return with_media(evaluation.config, run_dir)


def refuse_missing_engine(config: dict[str, Any]) -> None:
    """Fail before a process is started in vain. Raises EngineNotInstalled."""
    kind = engine_named(config["engine"]) if "engine" in config else None
    if kind is not None and not kind.installed:
        raise EngineNotInstalled(title=kind.title, install=kind.install)


def address_of(server: str) -> str:
    """The addresses that the operator gave this name, separated by commas; "" for no name. Raises SettingUnknown."""
    if not server:
        return ""
    if server not in settings.TRAINING_SERVERS:
        known = ", ".join(settings.TRAINING_SERVERS) or "none"
        raise SettingUnknown(f"server={server!r} is not a name in GUARDAPP_TRAINING_SERVERS. Known: {known}.")
    return ",".join(settings.TRAINING_SERVERS[server])


def bring_checkpoint(version: ModelVersion) -> None:
    """Fetch a remote checkpoint, and compare its files. Raises MediaNotReached, CheckpointChanged."""
    try:
        fetch_checkpoint(version.checkpoint)
        if version.checkpoint != STARTER:
            check_files(Path(checkpoint_of(version)), version.files)
    except MediaError as error:
        raise MediaNotReached(str(error)) from error
    except CheckpointNotUsable as error:
        raise CheckpointChanged(str(error)) from error


def places(
    *, kind: str, base: ModelVersion, snapshot: DatasetSnapshot, mined_from: TrainingRun | None
) -> dict[str, str]:
    """The files that a job reads. A run that waits for a mining will read the rows that the mining keeps."""
    dataset = mined_rows(mined_from) if mined_from else file_of(snapshot)
    shared = {"dataset": str(dataset), "media_root": str(settings.MEDIA_ROOT)}
    if kind == RunKind.MINE:
        return shared | {"model": checkpoint_of(base), "version": base.name}
    return shared | {"base_model": checkpoint_of(base)} | (replay(base, snapshot) if kind == RunKind.SFT else {})


def replay(base: ModelVersion, snapshot: DatasetSnapshot) -> dict[str, str]:
    """The base version's earlier training data, for `replay_rows` to mix in against forgetting.

    Empty for a version that was trained elsewhere.
    """
    earlier = TrainingRun.objects.filter(version=base).exclude(snapshot=snapshot).select_related("snapshot").first()
    return {"replay_dataset": str(file_of(earlier.snapshot))} if earlier else {}


def mined_rows(mining: TrainingRun) -> Path:
    return directory_of(mining) / ROWS


def verify_mined_rows(mining: TrainingRun) -> None:
    """Check the rows' hash. Raises MiningNotFinished or MinedRowsDamaged."""
    if mining.status != RunStatus.SUCCEEDED:
        raise MiningNotFinished
    try:
        if sha256_of(mined_rows(mining)) == mining.rows_sha256:
            return
    except OSError:
        pass
    raise MinedRowsDamaged


def sha256_of(path: Path) -> str:
    """Hex digest of a file. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
