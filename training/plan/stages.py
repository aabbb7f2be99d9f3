"""The plan of one or more stages before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.contract import MineConfig, SftConfig
from training.plan.counting import RowsPlanned, count_rows, totals
from training.plan.memory import Memory, estimate, read_checkpoint
from training.plan.steps import Pace, Work, seconds_of, work_of
from training.plan.tokens import TokenCounter
from training.recipes import Config
from training.recipes.launch import Launch


@dataclass(frozen=True, slots=True)
class StagePlan:
    """What a stage would do. `at_most`: a mining selects its rows first, so the figures are upper bounds."""

    kind: str
    config: Config
    launch: Launch
    rows: tuple[RowsPlanned, ...]
    replay_rows: int
    work: Work
    memory: Memory | None
    seconds: float | None
    time_note: str
    tokens_measured: bool
    at_most: bool

    @property
    def used(self) -> int:
        return totals(self.rows)["used"]

    @property
    def dropped(self) -> int:
        return totals(self.rows)["dropped"]


@dataclass(frozen=True, slots=True)
class Plan:
    stages: tuple[StagePlan, ...]

    @property
    def seconds(self) -> float | None:
        """The time of all stages; None if that of any stage is unknown."""
        known = [stage.seconds for stage in self.stages if stage.seconds is not None]
        return sum(known) if len(known) == len(self.stages) else None


def plan(
    configs: Mapping[str, Config],
    *,
    launches: Mapping[str, Launch] | None = None,
    paces: Mapping[str, Sequence[Pace]] | None = None,
) -> Plan:
    """Plan the stages in order, by kind; a stage after "mine" trains on the rows that the mining keeps.

    Raises RowNotReadable, or OSError if a dataset cannot be read.
    """
    stages = []
    mined = False
    for kind, config in configs.items():
        launch = (launches or {}).get(kind, Launch())
        stages.append(_stage(kind, config, launch, (paces or {}).get(kind, ()), mined_later=mined and kind != "sft"))
        mined = mined or kind == "mine"
    return Plan(tuple(stages))


def _stage(kind: str, config: Config, launch: Launch, paces: Sequence[Pace], *, mined_later: bool) -> StagePlan:
    base = config.model if isinstance(config, MineConfig) else config.base_model
    counter = TokenCounter.of(base)
    rows = count_rows(config, counter, mined_later=mined_later)
    counted = totals(rows)
    replay = config.replay_rows if isinstance(config, SftConfig) and config.replay_dataset else 0
    work = work_of(config, launch, rows=counted["used"], tokens=counted["tokens"], extra_rows=replay)
    checkpoint = read_checkpoint(base)
    memory = estimate(config, checkpoint, launch, longest=counted["longest"]) if checkpoint else None
    seconds, note = seconds_of(work, paces, launch)
    return StagePlan(kind, config, launch, rows, replay, work, memory, seconds, note, counter.measured, mined_later)
