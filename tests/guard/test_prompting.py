from pathlib import Path

import pytest

from guardapp.guard.prompting import (
    INSTRUCTION,
    OMNI_2B_4B_INSTRUCTION,
    USER_ROLE_LINE_181K,
    chat_messages,
    input_block_tail,
)
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Frame, Sample, SeenMedia

IMAGE = SeenMedia(MediaKind.IMAGE, (Frame(Path("a.png")),))
VIDEO = SeenMedia(MediaKind.VIDEO, (Frame(Path("b.png")),), fps=2.0)


def test_the_instruction_is_the_published_one_to_the_byte() -> None:
    lines = INSTRUCTION.split("\n")
    assert len(lines) == 10
    assert [number for number, line in enumerate(lines) if line.endswith(" ")] == [0, 7]
    assert lines[0] == "You are a classifier for analyzing interactions between humans and AI. "
    assert lines[7] == "You must think step by step. Keep consistency between the reasoning and the Answers. "
    assert lines[-1] == "Put the reasoning process into <think> </think>. Put the result into <result> </result>."
    assert OMNI_2B_4B_INSTRUCTION == INSTRUCTION + "\n"


@pytest.mark.parametrize(
    ("sample", "tail"),
    [
        (Sample("1", "Hi", "Hello"), "Hi\n\nAI assistant:\nHello\n"),
        (Sample("1", "Hi"), "Hi\n\nAI assistant:\nNone\n"),
        (Sample("1", "Hi", ""), "Hi\n\nAI assistant:\n\n"),
    ],
)
def test_the_input_block_is_the_published_one(sample: Sample, tail: str) -> None:
    assert input_block_tail(sample) == tail


def test_a_text_sample_is_one_part() -> None:
    system, user = chat_messages(Sample("1", "Hi"))
    assert system["content"] == [{"type": "text", "text": INSTRUCTION}]
    assert user["content"] == [{"type": "text", "text": "Human user:\nHi\n\nAI assistant:\nNone\n"}]


def test_media_stand_between_the_role_line_and_the_prompt_in_order() -> None:
    _, user = chat_messages(Sample("1", "Hi", media=(VIDEO, IMAGE)))
    assert [part["type"] for part in user["content"]] == ["text", "video", "image", "text"]
    assert user["content"][0]["text"] == "Human user:\n"
    assert user["content"][-1]["text"] == "Hi\n\nAI assistant:\nNone\n"


def test_a_policy_and_another_release_change_only_their_part() -> None:
    sample = Sample("1", "Hi", policy_text="No knives.")
    system, user = chat_messages(sample, role_line=USER_ROLE_LINE_181K)
    assert system["content"][0]["text"] == f"{INSTRUCTION}\n\nPolicy:\nNo knives."
    assert user["content"][0]["text"].startswith("Human User:\nHi")
