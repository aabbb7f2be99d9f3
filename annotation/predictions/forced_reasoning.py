"""Has the guard write reasoning that leads to the gold verdict.

For each row, these stages are tried in order until a candidate is valid:

1. Fresh rollouts (OWN_ROLLOUT): FRESH sampled completions of the plain prompt, keeping those with the gold labels.
2. Stated conclusion (FORCED_LABEL): HINTED sampled continuations of a first step that states the gold labels and any
   gold categories. The guard continues with its reasons and writes its own result. The stated step is then removed: a
   target that starts with the answer would teach answering before thinking (STaR, arXiv 2203.14465, section 3.3).
3. Corrected conclusion (FORCED_LABEL): the steps of the prediction shown to reviewers, up to the first one with a label
   that contradicts gold, then the gold conclusion as the next step; the guard continues greedily. The stated conclusion
   is kept, since it follows from the evidence steps before it.

A candidate is valid if it parses, has the gold labels, contains at least one step by the guard and none that the
reviewer marked wrong, and (2, 3) the last step with a label has a gold one. Among valid candidates, one with exactly
the gold categories is preferred, then the earlier one. No target consists of template text alone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from annotation.status import TargetSource
from guardapp.guard.protocol import Engine
from guardapp.guard.steps import categories_named
from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Decoding, Rollout, Sample

FRESH = 8
HINTED = 8
TEMPERATURE, TOP_P = 1.0, 0.95  # as in the published mining runs
_LABEL_WORD = re.compile(r"\b(harmful|unharmful)\b", re.IGNORECASE)
_STATED = re.compile(r"\b(request|response) is (harmful|unharmful)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row without reasoning.

    `wrong_steps` are the steps marked wrong by the reviewer, `seen_steps` the steps of the earlier prediction, and
    `categories` maps codes to names.
    """

    sample: Sample
    prompt: str
    response: str | None
    categories: Mapping[str, str] = field(default_factory=dict)
    wrong_steps: frozenset[str] = frozenset()
    seen_steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    steps: tuple[str, ...]
    source: TargetSource


def write_reasoning(*, engine: Engine, rows: Sequence[Wanted], max_new_tokens: int, seed: int) -> list[Target | None]:
    """Return a target for each row, in order; None if no candidate was valid. Another seed may find one."""
    found: list[Target | None] = [None] * len(rows)
    for stage in (_fresh, _stated, _corrected):
        missing = [number for number, target in enumerate(found) if target is None]
        if missing:
            decoding = Decoding(temperature=TEMPERATURE, top_p=TOP_P, max_new_tokens=max_new_tokens, seed=seed)
            for number, target in zip(
                missing, stage(engine, [rows[number] for number in missing], decoding), strict=True
            ):
                found[number] = target
    return found


def conclusion(row: Wanted) -> str:
    """Return the gold verdict as a step.

    For example: "That is Hate (S10), so the request is harmful. The response is unharmful."
    """
    named = [f"{name} ({code})" for code, name in row.categories.items()]
    if row.prompt == Harmfulness.HARMFUL:
        about_request = (
            f"That is {', '.join(named)}, so the request is harmful." if named else "The request is harmful."
        )
    else:
        about_request = "No category applies, so the request is unharmful."
    return about_request if row.response is None else f"{about_request} The response is {row.response}."


def _fresh(engine: Engine, rows: Sequence[Wanted], decoding: Decoding) -> list[Target | None]:
    groups = engine.generate([row.sample for row in rows], replace(decoding, n=FRESH))
    return [
        _best(row, [steps for rollout in group if (steps := _right(row, rollout))], TargetSource.OWN_ROLLOUT)
        for row, group in zip(rows, groups, strict=True)
    ]


def _stated(engine: Engine, rows: Sequence[Wanted], decoding: Decoding) -> list[Target | None]:
    repeated = [row for row in rows for _ in range(HINTED)]
    prefixes = [_opening([conclusion(row)]) + "Step 2:" for row in repeated]
    rollouts = engine.continue_from([row.sample for row in repeated], prefixes, decoding)
    found = []
    for number, row in enumerate(rows):
        group = rollouts[number * HINTED : (number + 1) * HINTED]
        own = [_right(row, rollout)[1:] for rollout in group]
        found.append(
            _best(row, [steps for steps in own if steps and _ends_right(row, steps)], TargetSource.FORCED_LABEL)
        )
    return found


def _corrected(engine: Engine, rows: Sequence[Wanted], decoding: Decoding) -> list[Target | None]:
    found: list[Target | None] = [None] * len(rows)
    kept = [_evidence_steps(row) for row in rows]
    usable = [number for number, steps in enumerate(kept) if steps]
    if not usable:
        return found
    prefixes = [_opening([*kept[number], conclusion(rows[number])]) for number in usable]
    greedy = replace(decoding, temperature=0.0, top_p=1.0)
    rollouts = engine.continue_from([rows[number].sample for number in usable], prefixes, greedy)
    for number, rollout in zip(usable, rollouts, strict=True):
        steps = _right(rows[number], rollout)
        if steps and _ends_right(rows[number], steps):
            found[number] = _best(rows[number], [steps], TargetSource.FORCED_LABEL)
    return found


def _right(row: Wanted, rollout: Rollout) -> tuple[str, ...]:
    """Return the rollout's steps if it reached the gold labels, otherwise an empty tuple."""
    judgement = rollout.judgement
    if judgement is None or (judgement.verdict.prompt, judgement.verdict.response) != (row.prompt, row.response):
        return ()
    return judgement.steps


def _best(row: Wanted, candidates: Sequence[tuple[str, ...]], source: TargetSource) -> Target | None:
    sound = [steps for steps in candidates if row.wrong_steps.isdisjoint(steps)]
    if not sound:
        return None
    codes = row.sample.codes.union(row.categories)
    return Target(min(sound, key=lambda steps: set(categories_named(steps, codes)) != set(row.categories)), source)


def _ends_right(row: Wanted, steps: Sequence[str]) -> bool:
    """Whether the last step with labels has only gold labels."""
    naming = [step for step in steps if _LABEL_WORD.search(step)]
    return not naming or not _contradicts(row, naming[-1])


def _contradicts(row: Wanted, step: str) -> bool:
    """Whether the step gives a non-gold label to the request, the response or an unnamed subject."""
    stated = [(subject.lower(), label.lower()) for subject, label in _STATED.findall(step)]
    if stated:
        return any(label != (row.prompt if subject == "request" else row.response) for subject, label in stated)
    return any(word.lower() not in (row.prompt, row.response) for word in _LABEL_WORD.findall(step))


def _evidence_steps(row: Wanted) -> tuple[str, ...]:
    """Return the earlier steps up to the first with a non-gold label, without those marked wrong by the reviewer."""
    kept: list[str] = []
    for step in row.seen_steps:
        if _contradicts(row, step):
            break
        if step not in row.wrong_steps:
            kept.append(step)
    return tuple(kept)


def _opening(steps: Sequence[str]) -> str:
    """Return the start of a completion in the layout of `render`."""
    return "<think>\n" + "".join(f"Step {number}: {step}\n" for number, step in enumerate(steps, start=1))
