"""A dry run: estimate rows, steps, memory and time of a training. Needs neither Django nor torch."""

from training.plan.counting import RowsPlanned
from training.plan.memory import Memory, read_checkpoint
from training.plan.stages import Plan, StagePlan, plan
from training.plan.steps import Pace, Work
from training.plan.words import as_lines, duration

__all__ = [
    "Memory",
    "Pace",
    "Plan",
    "RowsPlanned",
    "StagePlan",
    "Work",
    "as_lines",
    "duration",
    "plan",
    "read_checkpoint",
]
