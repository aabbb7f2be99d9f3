"""The text that searches look into, and the terms of a query: the only place where either is normalised.

Both databases find substrings by an index of trigrams over one column of ASCII text. Letters and digits of ASCII stand
there as they are, in lower case. Every other character becomes five capital letters, the first from A to J and the
others from K to Z, so that a term can only match where a character begins. Without that, PostgreSQL's trigrams would
depend on the database's locale, and one Chinese character, which is a word, would be too short for either index.

What is alike after normalising is found alike: upper and lower case, full-width and ordinary forms, letters with and
without accents, Arabic with and without vowel marks and in its forms of alef, yeh, kaf and heh, digits of any script,
emoji with and without variation selectors, joiners and skin tones. Signs that carry meaning stay: vowel signs of the
Indic scripts, of Thai, Lao, Khmer and Burmese, and the voicing marks of kana.
"""

import re
import unicodedata

MOST_CHARACTERS = 500_000  # of one item
MOST_TERMS = 12  # of one query
TRIGRAM = 3  # characters; a shorter term has no trigram
FIRST, OTHERS = "ABCDEFGHIJ", "KLMNOPQRSTUVWXYZ"
PLANES = {0: 0, 1: 1, 2: 2, 3: 3, 14: 4, 15: 5, 16: 6}  # those in use have a first letter of their own

# a phrase in quotes that stand apart, or what is between white space
TERM = re.compile(r'(?<!\S)"([^"]+)"(?!\S)|(\S+)')

ACCENTS = (  # combining marks that a reader may leave out, by first and last code point
    (0x0300, 0x036F),
    (0x0483, 0x0489),
    (0x0591, 0x05BD),  # Hebrew points
    (0x05BF, 0x05BF),
    (0x05C1, 0x05C2),
    (0x05C4, 0x05C5),
    (0x05C7, 0x05C7),
    (0x0610, 0x061A),  # Arabic: harakat, hamza above and below, small high letters
    (0x0640, 0x0640),  # tatweel
    (0x064B, 0x065F),
    (0x0670, 0x0670),
    (0x06D6, 0x06DC),
    (0x06DF, 0x06E4),
    (0x06E7, 0x06E8),
    (0x06EA, 0x06ED),
    (0x08CA, 0x08FF),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x20D0, 0x20FF),  # among them the enclosing keycap
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFE20, 0xFE2F),
    (0x1F3FB, 0x1F3FF),  # skin tones
    (0xE0100, 0xE01EF),
)
ALIKE = {
    "ı": "i",
    "ø": "o",
    "ł": "l",
    "đ": "d",
    "æ": "ae",
    "œ": "oe",
    "\N{ARABIC LETTER ALEF WASLA}": "\N{ARABIC LETTER ALEF}",
    "\N{ARABIC LETTER ALEF MAKSURA}": "\N{ARABIC LETTER YEH}",
    "\N{ARABIC LETTER FARSI YEH}": "\N{ARABIC LETTER YEH}",
    "\N{ARABIC LETTER KEHEH}": "\N{ARABIC LETTER KAF}",
    "\N{ARABIC LETTER TEH MARBUTA}": "\N{ARABIC LETTER HEH}",
    **dict.fromkeys("‘’‚‛ʼ′", "'"),
    **dict.fromkeys("“”„‟«»″", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
}


class _Folds(dict[int, str]):
    """What `str.translate` puts in place of a character; worked out when it is first met."""

    def __missing__(self, number: int) -> str:
        self[number] = folded = _fold(number)
        return folded


class _Codes(dict[int, str]):
    """Likewise the five letters of a character that is not ASCII."""

    def __missing__(self, number: int) -> str:
        self[number] = code = chr(number) if number < 0x80 else _code(number)
        return code


def _fold(number: int) -> str:
    character = chr(number)
    category = unicodedata.category(character)
    # format characters: joiners, soft hyphens, marks of direction, tags of flags
    if number == 0 or category in ("Cf", "Cs") or any(first <= number <= last for first, last in ACCENTS):
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    return ALIKE.get(character, character)


def _code(number: int) -> str:
    plane, rest = divmod(number, 0x10000)
    return FIRST[PLANES.get(plane, 7)] + "".join(OTHERS[rest >> shift & 0xF] for shift in (12, 8, 4, 0))


_FOLDS, _CODES = _Folds(), _Codes()


def folded(text: str) -> str:
    """The text as it is compared: white space is one space, and none stands at the ends."""
    if text.isascii():
        return " ".join(text.lower().replace("\x00", "").split())
    # a lone surrogate has no place in a normal form
    text = unicodedata.normalize("NFKD", text).casefold()
    text = unicodedata.normalize("NFKD", text).translate(_FOLDS)
    return " ".join(unicodedata.normalize("NFC", text).split())


def encoded(text: str) -> str:
    """`folded` text in the characters that the indexes hold."""
    return text if text.isascii() else text.translate(_CODES)


def search_text(*fields: str | None) -> str:
    """The column of an item: its fields, one a line, so that no term matches across two of them."""
    lines, room = [], MOST_CHARACTERS
    for field in fields:
        if field and room > 0:
            lines.append(encoded(folded(field[:room])))
            room -= len(field)
    return "\n".join(lines)


def terms_of(query: str) -> list[str]:
    """The encoded terms of a query, longest first: each must be found. Words in quotes are one term.

    Any other character is taken as it is.
    """
    # the quotes of other scripts and languages become ordinary ones first
    typed = "".join(ALIKE.get(character, character) if character in "“”„‟«»″" else character for character in query)
    found = (encoded(folded(phrase or word)) for phrase, word in TERM.findall(typed.replace("\uff02", '"')))
    return sorted(dict.fromkeys(term for term in found if term), key=len, reverse=True)[:MOST_TERMS]
