"""The numbers of the starter's recipe: how many rows of which kind, and how each stage trains."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """One run of `training.jobs.sft`, from the model of the stage before it. `open_share` is the part of the open rows
    that it sees; the generated rows of each stage are fresh ones."""

    name: str
    text: int
    image: int
    video: int
    open_share: float
    learning_rate: float
    seed_step: int  # added to the build's seed, so that no stage repeats another's rows


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Rows that are only scored: "unseen" ones on held-out topics, "seen" ones fresh but on training topics."""

    text: int = 600
    image: int = 200
    video: int = 120


STAGES = (
    Stage("first", text=10_000, image=3_500, video=900, open_share=0.4, learning_rate=1.5e-3, seed_step=0),
    Stage("second", text=19_000, image=5_500, video=1_800, open_share=0.6, learning_rate=1.2e-3, seed_step=1),
)
SMOKE_STAGES = (Stage("smoke", text=48, image=8, video=4, open_share=0.0, learning_rate=1e-3, seed_step=0),)
HELD_OUT = HeldOut()
SMOKE_HELD_OUT = HeldOut(text=8, image=4, video=2)
BATCH_SIZE = 16
CUTOFF_TOKENS = 1600
LOSS_ON_PROMPT = 0.1
MAX_NEW_TOKENS = 160  # a completion takes about 60
