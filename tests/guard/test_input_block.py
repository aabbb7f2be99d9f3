"""Published user messages: what the product writes and what the papers' corpora write."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardapp.guard.input_block import InputBlock, NotAnInputBlock, is_published_instruction, read_input_block
from guardapp.guard.prompting import (
    INSTRUCTION,
    OMNI_2B_4B_INSTRUCTION,
    USER_ROLE_LINE,
    USER_ROLE_LINE_181K,
    chat_messages,
)
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Frame, Sample, SeenMedia

IMAGE, VIDEO = MediaKind.IMAGE, MediaKind.VIDEO
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.mark.parametrize(
    ("text", "media", "block"),
    [
        ("Human user:\nHello\n\nAI assistant:\nNone\n", 0, InputBlock("Hello", None)),
        ("Human User:\nHello\n\nAI assistant:\nNone\n\n", 0, InputBlock("Hello", None)),
        ("Human user:\nHello\n\nAI assistant:\nNone", 0, InputBlock("Hello", None)),
        ("Human user:\nHello\n\nAI assistant:\nHi.\n\nBye.\n\n\n", 0, InputBlock("Hello", "Hi.\n\nBye.")),
        ("Human user:\n\n\nAI assistant:\nHi.\n", 0, InputBlock("", "Hi.")),
        ("Human user:\n\nAI assistant:\nHi.\n", 0, InputBlock("", "Hi.")),
        ("Human user:\n<image><video>Look\n\nAI assistant:\nNone\n", 2, InputBlock("Look", None, (IMAGE, VIDEO))),
        ("Human user:\n<image>\n\nAI assistant:\nNone\n", 1, InputBlock("", None, (IMAGE,))),
        ("Human user:\nLook <image> here\n\nAI assistant:\nNone\n", 1, InputBlock("Look  here", None, (IMAGE,))),
        ("Human user:\nWrite the tag <image>.\n\nAI assistant:\nNone\n", 0, InputBlock("Write the tag <image>.", None)),
        (
            "Human user:\n<image>Write <image>.\n\nAI assistant:\nNone\n",
            1,
            InputBlock("Write <image>.", None, (IMAGE,)),
        ),
        # a prompt that quotes the block: without a response the last line counts, with one the first
        ("Human user:\nA\n\nAI assistant:\nB\n\nAI assistant:\nNone\n", 0, InputBlock("A\n\nAI assistant:\nB", None)),
        ("Human user:\nA\n\nAI assistant:\nB\n\nAI assistant:\nC\n", 0, InputBlock("A", "B\n\nAI assistant:\nC")),
    ],
)
def test_published_messages_are_read(text: str, media: int, block: InputBlock) -> None:
    assert read_input_block(text, media) == block


@pytest.mark.parametrize(
    ("text", "media", "said"),
    [
        ("Hello\n\nAI assistant:\nNone\n", 0, "Human user:"),
        ("Human user:\nHello", 0, "AI assistant:"),
        ("Human user:\nHello\n\nAI assistant:\nNone\n", 1, "0 placeholders"),
        ("Human user:\n<image>Hello <image><image>\n\nAI assistant:\nNone\n", 2, "3 placeholders"),
        ("", 0, "Human user:"),
    ],
)
def test_other_messages_are_refused_with_what_is_missing(text: str, media: int, said: str) -> None:
    with pytest.raises(NotAnInputBlock, match=said):
        read_input_block(text, media)


@given(
    prompt=WORDS,
    response=st.none() | WORDS,
    images=st.integers(0, 2),
    role_line=st.sampled_from([USER_ROLE_LINE, USER_ROLE_LINE_181K]),
)
def test_the_input_block_reads_back(prompt: str, response: str | None, images: int, role_line: str) -> None:
    medium = SeenMedia(IMAGE, (Frame(Path("0000.png")),))
    sample = Sample("a", prompt, response, (medium,) * images)
    user = chat_messages(sample, role_line=role_line)[1]
    text = "".join(part["text"] if part["type"] == "text" else "<image>" for part in user["content"])
    read = read_input_block(text, images)
    assert (read.prompt, len(read.media)) == (prompt, images)
    assert read.response == (None if response is None or response.strip() == "None" else response.rstrip("\n"))


def test_the_instruction_is_recognised_with_blank_lines_after_it() -> None:
    assert is_published_instruction(INSTRUCTION) and is_published_instruction(OMNI_2B_4B_INSTRUCTION + "\n\n")
    assert not is_published_instruction("You are a helpful assistant.")
