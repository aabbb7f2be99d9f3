"""A plan as lines of text for the console."""

from collections.abc import Iterator

from django.utils.translation import gettext as _

from training.plan.memory import Memory
from training.plan.stages import Plan, StagePlan

GIB = 2**30
TITLES = {"sft": "Supervised fine-tuning", "mine": "Mining", "grpo": "GRPO", "dpo": "DPO"}


def as_lines(plan: Plan) -> Iterator[str]:
    for stage in plan.stages:
        yield f"{TITLES[stage.kind]} ({stage.kind}), {stage.launch.processes} process(es), {stage.launch.strategy}"
        yield from (f"  {line}" for line in _stage(stage))
    if len(plan.stages) > 1:
        yield f"In all: {duration(plan.seconds)}"


def _stage(stage: StagePlan) -> Iterator[str]:
    bound = "at most " if stage.at_most else ""
    yield f"{'modality':<12}{'split':<10}{'rows':>10}{'used':>10}{'too long':>10}{'left out':>10}{'tokens':>14}"
    for part in stage.rows:
        yield (
            f"{part.modality:<12}{part.split:<10}{part.rows:>10,}{part.used:>10,}{part.dropped:>10,}{part.left_out:>10,}"
            f"{part.tokens:>14,}"
        )
    if stage.at_most:
        yield "upper bounds: the mining before it decides which of these rows are kept"
    if stage.replay_rows:
        yield f"replay: {stage.replay_rows:,} rows more"
    yield (
        "tokens: "
        f"{'counted with the version’s tokenizer' if stage.tokens_measured else 'guessed from the length of the text'}"
    )
    yield f"steps: {bound}{stage.work.steps:,}; {bound}{stage.work.amount:,} {stage.work.unit}"
    yield f"memory: {_memory(stage.memory, stage.kind)}"
    yield f"time: {duration(stage.seconds)} ({stage.time_note})"


def _memory(memory: Memory | None, kind: str) -> str:
    if memory is None:
        return "what serving the version takes" if kind == "mine" else "not known: the checkpoint's files are not here"
    parts = {
        "weights": memory.weights,
        "gradients": memory.gradients,
        "moments": memory.moments,
        "activations": memory.activations,
        "logits": memory.logits,
    }
    named = ", ".join(f"{name} {size / GIB:.2f}" for name, size in parts.items())
    return (
        f"about {memory.total / GIB:.2f} GiB on each device ({named}); {memory.trained_parameters:,} of "
        f"{memory.parameters:,} "
        "parameters trained; activations by a rough rule"
    )


def duration(seconds: float | None) -> str:
    if seconds is None:
        return _("not known")
    if seconds < 90:
        return _("about %(n)s s") % {"n": f"{seconds:.0f}"}
    if seconds < 5_400:
        return _("about %(n)s min") % {"n": f"{seconds / 60:.0f}"}
    return _("about %(n)s h") % {"n": f"{seconds / 3_600:.1f}"}
