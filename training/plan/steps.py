"""The steps of a stage, its amount of work, and the time at the pace of earlier runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from django.utils.translation import gettext as _

from training.contract import DpoConfig, GrpoConfig, MineConfig, SftConfig
from training.recipes import Config
from training.recipes.launch import Launch

TOKENS, ROLLOUTS = "tokens", "rollouts"


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace measured by an earlier run of this kind and base: units per second with this number of processes."""

    unit: str  # tokens or rollouts
    per_second: float
    run: str
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Work:
    """The work of a stage: `amount` is the number of tokens trained on or rollouts sampled, over all epochs."""

    steps: int
    unit: str
    amount: int


def work_of(config: Config, launch: Launch, *, rows: int, tokens: int, extra_rows: int = 0) -> Work:
    """The work for `rows` with `tokens` in total, and `extra_rows` (replay) of the same mean length."""
    if isinstance(config, MineConfig):
        return Work(ceil(rows / config.batch_size), ROLLOUTS, rows * config.rollouts)
    if isinstance(config, GrpoConfig):
        return _grpo(config, rows)
    everything = rows + extra_rows
    steps = _steps(config, everything, launch.processes)
    step_rows = config.batch_size * config.gradient_accumulation * launch.processes
    seen = min(everything * config.epochs, steps * step_rows) if config.max_steps <= 0 else steps * step_rows
    return Work(steps, TOKENS, round(tokens / rows * seen) if rows else 0)


def _steps(config: SftConfig | DpoConfig, rows: int, processes: int) -> int:
    """Count steps as the trainer does: accumulated batches per process, and a step for an epoch's remainder."""
    if config.max_steps > 0:
        return config.max_steps
    batches = ceil(rows / (config.batch_size * processes))
    return ceil(config.epochs * ceil(batches / config.gradient_accumulation))


def _grpo(config: GrpoConfig, rows: int) -> Work:
    prompts = rows + (round(rows * config.concat_share / (1 - config.concat_share)) if config.concat_share < 1 else 0)
    # an epoch is padded to whole blocks
    block = max(config.prompts_per_batch, config.update_batch // config.group_size)
    updates_an_epoch = ceil(prompts / block) * block * config.group_size * config.num_iterations / config.update_batch
    steps = config.max_steps if config.max_steps > 0 else ceil(config.epochs * updates_an_epoch)
    return Work(steps, ROLLOUTS, ceil(steps * config.update_batch / config.num_iterations))


def seconds_of(work: Work, paces: Sequence[Pace], launch: Launch) -> tuple[float | None, str]:
    """Return (seconds or None, explanation).

    Prefers a pace with the same number of processes, else takes the newest.
    """
    fitting = [pace for pace in paces if pace.unit == work.unit and pace.per_second > 0]
    if not fitting:
        return None, _("unknown: no earlier run of this kind from this version measured its %(unit)s per second") % {
            "unit": _(work.unit)
        }
    same = [pace for pace in fitting if pace.processes == launch.processes]
    pace = (same or fitting)[0]
    words = _("%(speed)s %(unit)s per second, as measured by %(run)s")
    if not same:
        words = _(
            "%(speed)s %(unit)s per second, as measured by %(run)s with %(processes)s process(es); this one has "
            "%(here)s"
        )
    return work.amount / pace.per_second, words % {
        "speed": f"{pace.per_second:,.1f}",
        "unit": _(work.unit),
        "run": pace.run,
        "processes": pace.processes,
        "here": launch.processes,
    }
