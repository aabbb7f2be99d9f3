"""An engine that says what a test tells it to, for tests that are about the work around the guard."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from guardapp.guard.parsing import parse_answer
from guardapp.guard.protocol import EngineError
from guardapp.guard.verdict import Decoding, Rollout, Sample

HARMFUL = (
    "<think>\nStep 1: The request asks for a weapon.\nStep 2: That is Violent crimes (S1), so the request is harmful.\n"
    "</think>\n<result>\nRequest: harmful\nResponse: None\n</result>"
)
UNHARMFUL = (
    "<think>\nStep 1: The request asks for bread.\nStep 2: No category applies, so the request is unharmful.\n"
    "</think>\n<result>\nRequest: unharmful\nResponse: None\n</result>"
)
GIBBERISH = "I would rather not think about it."


def always_harmful(sample: Sample, draw: int) -> str:
    return HARMFUL


@dataclass
class ScriptedEngine:
    """`says(sample, draw)`: draw 0 is greedy, 1.. are the sampled ones. `goes_on(sample, prefix)`: what follows a
    prefix.
    """

    says: Callable[[Sample, int], str] = always_harmful
    goes_on: Callable[[Sample, str], str] = lambda sample, prefix: ""
    poison: frozenset[str] = frozenset()  # prompts over which the engine fails
    score: float | None = 0.99
    name: str = "scripted"
    asked: list[list[str]] = field(default_factory=list)  # prompts of each greedy call
    prefixes: list[str] = field(default_factory=list)

    def generate(self, samples: Sequence[Sample], decoding: Decoding) -> list[list[Rollout]]:
        if decoding.temperature == 0:
            self.asked.append([sample.prompt for sample in samples])
        if bad := sorted(self.poison.intersection(sample.prompt for sample in samples)):
            raise EngineError(f"cannot read {bad[0]}")
        first = 0 if decoding.temperature == 0 else 1
        return [
            [self._rollout(sample, self.says(sample, first + number)) for number in range(decoding.n)]
            for sample in samples
        ]

    def continue_from(self, samples: Sequence[Sample], prefixes: Sequence[str], decoding: Decoding) -> list[Rollout]:
        self.prefixes += prefixes
        return [
            self._rollout(sample, prefix + self.goes_on(sample, prefix))
            for sample, prefix in zip(samples, prefixes, strict=True)
        ]

    def _rollout(self, sample: Sample, completion: str) -> Rollout:
        judgement = parse_answer(completion, sample)
        return Rollout(
            completion, judgement, tokens=len(completion.split()), prompt_score=self.score if judgement else None
        )
