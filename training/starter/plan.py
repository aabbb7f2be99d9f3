"""The starter's recipe in numbers: rows by kind, and settings by stage."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """One run of `training.jobs.sft` on the previous stage's model.

    `open_share` is the share of the open rows used; generated rows are new in each stage. `long` is the number of rows
    of `rows_long`, with up to 2,700 words.

    Without `quotes`, completions contain only judgements, so that the guard first learns to tell harmful from harmless:
    the words of a quote dominate a completion's loss and drown that signal while the guard cannot copy yet.
    """

    name: str
    text: int
    image: int
    video: int
    open_share: float
    quotes: bool
    learning_rate: float
    batch_size: int
    loss_on_prompt: float
    seed_step: int  # offset of the build's seed, so that stages do not repeat rows
    scattered: bool = False  # see rows_media: texts of any size at any position
    unharmful_kept: float = 1.0  # share of generated unharmful text rows to keep
    long: int = 0
    mixed: int = 0  # number of rows of `rows_mixed`, assembled from earlier rows
    # share of the open rows with words removed and sentences shuffled
    thinned: float = 0.0
    # maximum number of words kept from the start of an open row's prompt and response
    open_words: int = 350
    cutoff_tokens: int = 1600  # longer rows are dropped
    # number of batches whose rows are sorted by length together; more reduce the padding of long rows
    pool_batches: int = 50


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Rows for scoring: "unseen" ones on held-out topics, "seen" ones are new but on training topics.

    `batch_size` is that of the evaluation.
    """

    text: int = 600
    image: int = 200
    video: int = 120
    long: int = 0
    batch_size: int = 128


STAGES = (
    Stage(
        "judge",
        text=18_000,
        image=0,
        video=0,
        open_share=1.0,
        quotes=False,
        learning_rate=1.5e-3,
        batch_size=24,
        loss_on_prompt=0.03,
        seed_step=0,
    ),
    Stage(
        "quote",
        text=9_000,
        image=4_500,
        video=1_000,
        open_share=0.3,
        quotes=True,
        learning_rate=1.2e-3,
        batch_size=16,
        loss_on_prompt=0.03,
        seed_step=1,
        scattered=True,
    ),
    Stage(
        "settle",
        text=11_000,
        image=7_000,
        video=1_600,
        open_share=0.2,
        quotes=True,
        learning_rate=1.2e-3,
        batch_size=16,
        loss_on_prompt=0.0,
        seed_step=2,
    ),
    Stage(
        "open",
        text=7_000,
        image=1_500,
        video=350,
        open_share=1.0,
        quotes=True,
        learning_rate=8e-4,
        batch_size=16,
        loss_on_prompt=0.0,
        seed_step=3,
        unharmful_kept=0.75,
    ),
    Stage(
        "long",
        text=6_500,
        image=600,
        video=150,
        open_share=1.0,
        quotes=True,
        learning_rate=8e-4,
        batch_size=16,
        loss_on_prompt=0.0,
        seed_step=4,
        unharmful_kept=0.45,
        long=300,
        thinned=0.5,
        open_words=2_700,
        cutoff_tokens=4_500,
        pool_batches=2_000,
    ),
    Stage(
        "mixed",
        text=3_500,
        image=600,
        video=150,
        open_share=1.0,
        quotes=True,
        learning_rate=8e-4,
        batch_size=16,
        loss_on_prompt=0.0,
        seed_step=5,
        unharmful_kept=0.5,
        long=150,
        mixed=9_000,
        thinned=0.5,
        open_words=2_700,
        cutoff_tokens=4_500,
        pool_batches=2_000,
    ),
)
# the tokenizer is trained on the rows of the first stages
TOKENIZER_STAGES = 2
SMOKE_STAGES = (
    Stage(
        "smoke",
        text=24,
        image=4,
        video=2,
        open_share=0.0,
        quotes=True,
        learning_rate=1e-3,
        batch_size=4,
        loss_on_prompt=0.03,
        seed_step=0,
        long=2,
        cutoff_tokens=4_500,
    ),
)
HELD_OUT = HeldOut(long=100)
# a batch is as wide as its longest row
SMOKE_HELD_OUT = HeldOut(text=4, image=2, video=1, long=1, batch_size=4)
MAX_NEW_TOKENS = 100  # a completion takes about 30
