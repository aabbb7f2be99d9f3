"""Long texts → windows: cut after a line, sentence or word, and never inside what is read as one character."""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace

from guardapp.guard.verdict import Sample, Window

# a text up to this share of the room is whole in each window of the other one
BESIDE = 0.5
# of the prompt, before each window of the response where both are long
PROMPT_BEFORE = 0.25
# of the room, that the context of a conversation takes at most beside an exchange that is cut
CONTEXT_SHARE = 0.5
TRIES = 24
JOINER = "\u200d"
_REGIONAL = re.compile("[\U0001f1e6-\U0001f1ff]")
_SKIN = re.compile("[\U0001f3fb-\U0001f3ff]")
_MARKS = ("Mn", "Mc", "Me")
# the best first: after an empty line, a line, a sentence, a word
_ENDS = (
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"[.!?\u2026][\"'\u201d\u2019)\]]*\s+|[\u3002\uff01\uff1f\u0964\u0965\u06d4]"),
    re.compile(r"\s+"),
)


def oldest_left_out(sample: Sample, limit: int, tokens: Callable[[Sample], int]) -> int:
    """How many of the oldest messages of the context to leave out; 0 if it leaves room enough below `limit` tokens."""

    def has_room(count: int) -> bool:
        shorter = sample.without_oldest(count)
        frame = replace(shorter, prompt="", response=None if sample.response is None else "")
        return tokens(frame) <= CONTEXT_SHARE * limit or tokens(shorter) <= limit

    return bisect_left(range(len(sample.context)), True, key=has_room)


def whole(sample: Sample) -> Window:
    """The window of all of prompt and response."""
    return Window((0, len(sample.prompt)), None if sample.response is None else (0, len(sample.response)))


def cut_before(text: str, at: int, least: int, farthest: int | None = None) -> int:
    """The best place after `least` and up to `at` to cut the text.

    Between two characters if there is no end of a word, even down to `farthest`; one that is longer is split.
    """
    if not 0 < at < len(text):
        return at
    for ends in _ENDS:
        found = [match.end() for match in ends.finditer(text, least, at) if match.end() > least]
        for end in reversed(found):
            if between_characters(text, end):
                return end
    for end in range(at, least if farthest is None else farthest, -1):
        if between_characters(text, end):
            return end
    return at


def between_characters(text: str, at: int) -> bool:
    """Whether the text may be cut at this place: not before a mark, nor inside an emoji, a syllable or a line end."""
    if at <= 0 or at >= len(text):
        return True
    before, after = text[at - 1], text[at]
    if before + after == "\r\n" or JOINER in (before, after):
        return False
    if unicodedata.category(after) in _MARKS or _SKIN.match(after):
        return False
    if _REGIONAL.match(before) and _REGIONAL.match(after):
        # flags are pairs, counted from the first one
        start = at
        while start and _REGIONAL.match(text[start - 1]):
            start -= 1
        return (at - start) % 2 == 0
    # a virama joins the next consonant; Hangul letters join into syllables
    return unicodedata.combining(before) != 9 and not (_is_jamo(before) and _is_jamo(after))


def _is_jamo(character: str) -> bool:
    return "\u1100" <= character <= "\u11ff"


@dataclass(slots=True)
class Cutter:
    """Cuts texts into windows by counting tokens: at most `most`, neighbours sharing about `overlap` tokens."""

    tokens: Callable[[str], int]
    overlap: int
    most: int
    reads: int = 0  # how many tokens of a text the windows reach, where they do not reach its end

    def windows(self, prompt: str, response: str | None, room: int) -> tuple[Window, ...] | None:
        """The windows of both texts, of at most about `room` tokens each; None if there are more than `most`."""
        whole = (0, len(prompt))
        if response is None:
            ranges = self._ranges(prompt, room)
            return None if ranges is None else tuple(Window(one) for one in ranges)
        beside = self.tokens(prompt), self.tokens(response)
        self.reads = 0
        if beside[0] <= BESIDE * room:
            ranges = self._ranges(response, room - beside[0])
            return None if ranges is None else tuple(Window(whole, one) for one in ranges)
        if beside[1] <= BESIDE * room:
            ranges = self._ranges(prompt, room - beside[1])
            return None if ranges is None else tuple(Window(one, (0, len(response))) for one in ranges)
        of_prompt = self._ranges(prompt, room)
        before = self._end_of(prompt, int(PROMPT_BEFORE * room))
        of_response = self._ranges(response, room - int(PROMPT_BEFORE * room))
        if of_prompt is None or of_response is None or len(of_prompt) + len(of_response) > self.most:
            return None
        return (*(Window(one) for one in of_prompt), *(Window(before, one) for one in of_response))

    def _ranges(self, text: str, room: int) -> list[tuple[int, int]] | None:
        """Overlapping ranges that cover the text; None if there are more than `most`."""
        found: list[tuple[int, int]] = []
        start = 0
        while True:
            if len(found) == self.most or room <= self.overlap:
                self.reads += self.tokens(text[: found[-1][1]]) if found else 0
                return None
            end, tokens = self._furthest(text, start, room)
            if end < len(text):
                end = cut_before(text, end, start + (end - start) * 7 // 8)
            found.append((start, end))
            if end >= len(text):
                return found
            shared = round((end - start) * self.overlap / max(1, tokens))
            # the next window begins after a word or sentence, and always after this one's beginning
            begin = max(start + 1, end - shared)
            middle = start + (end - start) // 2
            start = max(start + 1, cut_before(text, begin, max(middle, begin - shared // 2), middle))

    def _furthest(self, text: str, start: int, room: int) -> tuple[int, int]:
        """The end of about the longest part from `start` that has at most `room` tokens, and its tokens."""
        least, most = start + 1, len(text)
        end = min(most, start + 4 * room)
        best = least, 1
        for _ in range(TRIES):
            tokens = self.tokens(text[start:end])
            if tokens <= room:
                best, least = (end, tokens), end
                if end >= most or tokens > 0.97 * room:
                    break
            else:
                most = end - 1
            if least >= most:
                break
            guess = start + int((end - start) * 0.99 * room / max(1, tokens))
            end = guess if least < guess <= most else min(most, least + max(1, (most - least) // 2))
        return best

    def _end_of(self, text: str, room: int) -> tuple[int, int]:
        """The last part of a text, of at most `room` tokens."""
        start = max(0, len(text) - room)
        while start < len(text) and self.tokens(text[start:]) > room:
            start += max(1, (len(text) - start) // 2)
        return cut_before(text, start, start) if start < len(text) else start, len(text)
