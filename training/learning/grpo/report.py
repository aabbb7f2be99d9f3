"""Callbacks of a GRPO run: the clip range of each step, metrics, and sample completions."""

from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from guardapp.guard.rl.clip_range import ClipSchedule
from training.contract import ROLLOUTS
from training.learning.grpo.scoring import shown_rollouts
from training.learning.heartbeat import Heartbeat
from training.learning.job_parts import Reporter
from training.learning.json_lines import append_line
from training.learning.processes import is_main_process

if TYPE_CHECKING:
    from training.learning.grpo.trainer import GuardGrpoTrainer

TRAINERS_OWN = ("loss", "learning_rate", "epoch", "num_tokens", "step_time", "num_input_tokens_seen")


class Clipping(TrainerCallback):  # type: ignore[misc]
    """Set the clip range before a step's first forward pass, also after a resume: TRL reads its config only once."""

    def __init__(self, schedule: ClipSchedule) -> None:
        self.schedule = schedule
        self.trainer: GuardGrpoTrainer | None = None  # set after its construction

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        assert self.trainer is not None
        clip = self.schedule.at(state.global_step + 1, state.max_steps)
        self.trainer.epsilon_low, self.trainer.epsilon_high = clip.low, clip.high


class GrpoReporter(Reporter):
    """Report reward figures besides loss and learning rate, and some completions of each logged step."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        super().__init__(heartbeat)
        self.trainer: GuardGrpoTrainer | None = None  # set after its construction
        self.first_rollout: int | None = None

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self.first_rollout is None and self.trainer is not None:
            self.first_rollout = self.trainer.rollouts_drawn

    def on_substep_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.beat()

    def beat(self) -> None:
        """Send a heartbeat within a step, which may take minutes."""
        assert self.trainer is not None
        self.heartbeat.beat("training", self.trainer.state.global_step, self.trainer.state.max_steps, extra=self.latest)

    def measured(self, logs: dict[str, float], state: TrainerState, seconds: float) -> dict[str, float]:
        assert self.trainer is not None
        drawn = self.trainer.rollouts_drawn - (self.first_rollout or 0)
        own = {name: value for name, value in logs.items() if name not in TRAINERS_OWN and value is not None}
        self._show_rollouts(state.global_step)
        return super().measured(logs, state, seconds) | own | {"rollouts_per_s": round(drawn / max(seconds, 1e-6), 2)}

    def _show_rollouts(self, step: int) -> None:
        assert self.trainer is not None
        if self.trainer.latest is None or not is_main_process():
            return
        latest, self.trainer.latest = self.trainer.latest, None
        for line in shown_rollouts(latest.scored, latest.advantages, self.trainer.num_generations, step):
            append_line(self.heartbeat.run_dir / ROLLOUTS, dict(line))
