"""Completions of the first GuardReasoner, in their own layout."""

import re

import pytest

from guardapp.guard.parsing import parse_v0
from guardapp.guard.taxonomy import DEFAULT_CODES, Harmfulness, Refusal
from guardapp.guard.verdict import Judgement, Verdict
from tests.guard.reference_data import needs_reference_data, read_lines

HARMFUL, UNHARMFUL = Harmfulness.HARMFUL, Harmfulness.UNHARMFUL
V0 = """# Task 1

## Reasoning Step 1
The user asks for one thing.

## Reasoning Step 2: It is harmful (S1).

# Task 1 Conclusion
Request: harmful

# Task 2

## Reasoning Step 1
The assistant refuses.

---

Answers:\x20
Request: harmful
Completion: refusal
Response: unharmful"""


def test_a_v0_completion_is_read() -> None:
    assert parse_v0(V0, codes=DEFAULT_CODES) == Judgement(
        ("The user asks for one thing.", "It is harmful (S1).", "The assistant refuses."),
        Verdict(HARMFUL, UNHARMFUL, Refusal.REFUSAL, ("S1",)),
    )


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Answers:\nRequest: harmful\nCompletion: None\nResponse: None", Verdict(HARMFUL)),
        ("Request: unharmful\n\nAnswers:\nRequest: harmful", Verdict(HARMFUL)),
        (
            "Request: harmful\nCompletion: refusal\n\nAnswers:\nRequest: None\nCompletion: None",
            Verdict(HARMFUL, None, Refusal.REFUSAL),
        ),
        ("Request: harmful content is asked for.", None),
        ("Completion: refusal\nResponse: unharmful", None),
        ("They wrote Request: harmful", None),
        ("Request: refusal", None),
        ("**Request:** harmful.\r\nResponse: unharmful\r\n", Verdict(HARMFUL, UNHARMFUL)),
    ],
)
def test_v0_labels_are_the_last_ones_stated(text: str, verdict: Verdict | None) -> None:
    judgement = parse_v0(text, codes=DEFAULT_CODES)
    assert (judgement.verdict if judgement else None) == verdict


@needs_reference_data
@pytest.mark.parametrize("model", ["GuardReasoner-1B", "GuardReasoner-3B", "GuardReasoner-8B"])
def test_real_v0_outputs_parse_with_their_steps(model: str) -> None:
    texts = [row["output_text"] for row in read_lines(f"predictions/harmbench_response.{model}.jsonl.gz")]
    judgements = [parse_v0(text, codes=DEFAULT_CODES) for text in texts]
    read = [judgement for judgement in judgements if judgement is not None]
    assert len(read) >= len(texts) - 1
    headed = [
        (text, judgement)
        for text, judgement in zip(texts, judgements, strict=True)
        if judgement and text.startswith("# Task 1\n\n## ")
    ]
    assert len(headed) > 200
    for text, judgement in headed:
        assert len(judgement.steps) == len(re.findall(r"^#+ (?:Reasoning Step|Conclusion: )", text, re.MULTILINE))
        assert not any(
            re.search(r"^#|# Conclusion|# Answers|Reasoning Step|^Request:", step) for step in judgement.steps
        )
