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
from guardapp.guard.verdict import ContextMessage, Frame, Sample, SeenMedia

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


ROLES = st.sampled_from(["system", "user", "assistant", "tool"])
KINDS = st.lists(st.sampled_from(list(MediaKind)), max_size=2)
LINES = st.lists(
    st.sampled_from(["", "a", "> a", "[user]", "Human user:", "AI assistant:", "<image>"]) | WORDS, max_size=4
)
ENDS = st.sampled_from(["\n", "\r\n", "\r", "\x85", "\u2028"])


@given(st.lists(st.tuples(ROLES, LINES, ENDS, KINDS), min_size=1, max_size=4), KINDS)
def test_a_context_block_is_read_back_as_it_was(
    messages: list[tuple[str, list[str], str, list[MediaKind]]], own: list[MediaKind]
) -> None:
    context = tuple(ContextMessage(role, end.join(lines), len(kinds)) for role, lines, end, kinds in messages)
    kinds = [kind for *_, kinds in messages for kind in kinds] + own
    media = tuple(SeenMedia(kind, (Frame(Path("a.png")),)) for kind in kinds)
    _, user = chat_messages(Sample("1", "Bye", "So long", media, context=context))
    text = "".join(part.get("text") or f"<{part['type']}>" for part in user["content"])
    assert read_input_block(text, len(kinds)) == InputBlock("Bye", "So long", tuple(kinds), context)


@pytest.mark.parametrize(
    "text",
    [
        "Earlier messages:\n\nHuman user:\nHi\n\nAI assistant:\nNone\n",
        "Earlier messages:\n[bot]\n> a\n\nHuman user:\nHi\n\nAI assistant:\nNone\n",
        "Earlier messages:\n[user]\nnot quoted\n\nHuman user:\nHi\n\nAI assistant:\nNone\n",
    ],
)
def test_what_is_no_context_block_is_refused(text: str) -> None:
    with pytest.raises(NotAnInputBlock):
        read_input_block(text, 0)
