"""The catalogues are whole: every text of the code is in them, translated, with its placeholders, and compiled."""

import re
from collections import Counter
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from django.conf import settings

from translating.catalogues import DOMAINS, compiled, forms_of, missing, stored
from translating.texts import ROOT

LANGUAGES = [code for code, _name in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|\{\w+\}|%s|</?\w+[^>]*>|&\w+;")
# what a template may say without a mark: names, and signs that are the same everywhere
NAMES = {"guardapp", "UTC", "CSV", "metrics.jsonl", "manifest.json", "chi²", "px", "P", "en", "pt", "BR", "p"}
TAG = r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}"
UNREAD = re.compile(
    r"\{% blocktranslate.*?\{% endblocktranslate %\}|<(script|pre|code|kbd|textarea)\b.*?</\1>|"
    r"\{% block page_class %\}.*?\{% endblock %\}|<!--.*?-->",
    re.S,
)
READ_ALOUD = re.compile(r'\s(?:aria-label|title|placeholder|alt)="((?:' + TAG + r'|[^"])*)"')

both = pytest.mark.parametrize(
    ("language", "domain"), [(language, domain) for language in LANGUAGES for domain in DOMAINS]
)


def texts(messages: list[Message]) -> set[tuple[str | None, tuple[str, ...]]]:
    return {(one.context, (one.id,) if isinstance(one.id, str) else tuple(one.id)) for one in messages if one.id}


@both
def test_every_text_of_the_code_is_in_the_catalogue_and_no_other(language: str, domain: str) -> None:
    found, known = texts(list(DOMAINS[domain]())), texts(list(stored(language, domain)))
    assert len(found) > 20
    assert not found - known, "run `python -m translating`, then translate what it names"
    assert not known - found, "run `python -m translating`: it takes out what nobody reads any more"


@both
def test_every_text_is_translated(language: str, domain: str) -> None:
    assert missing(stored(language, domain)) == []


@both
def test_a_translation_has_the_placeholders_and_the_markup_of_its_text(language: str, domain: str) -> None:
    different = []
    for message in stored(language, domain):
        originals = (message.id,) if isinstance(message.id, str) else message.id
        wanted = [Counter(PLACEHOLDER.findall(text)) for text in originals]
        different += [
            form for form in forms_of(message) if message.id and Counter(PLACEHOLDER.findall(form)) not in wanted
        ]
    assert different == []


@both
def test_the_compiled_catalogue_says_what_the_readable_one_says(language: str, domain: str) -> None:
    def said(messages: list[Message]) -> dict[tuple[str, str], tuple[str, ...]]:
        return {
            (_text(one.context), one.id if isinstance(one.id, str) else one.id[0]): forms_of(one)
            for one in messages
            if one.id
        }

    assert said(list(compiled(language, domain))) == said(list(stored(language, domain))), "run `python -m translating`"


@pytest.mark.parametrize("path", sorted((ROOT / "templates").rglob("*.html")), ids=lambda path: path.name)
def test_no_template_says_anything_without_a_mark(path: Path) -> None:
    source = UNREAD.sub(" ", path.read_text())
    spoken = [*READ_ALOUD.findall(source), *re.split(r"<(?:" + TAG + r'|"(?:' + TAG + r'|[^"])*"|[^<>"])*>', source)]
    plain = [re.sub(TAG + r"|&\w+;", " ", text, flags=re.S) for text in spoken]
    unmarked = [
        word for text in plain for word in re.findall(r"[A-Za-z][\w.²]*", text) if word.rstrip(".") not in NAMES
    ]
    assert unmarked == []


def _text(context: str | bytes | None) -> str:
    """Babel reads the contexts of a compiled catalogue as bytes."""
    return context.decode() if isinstance(context, bytes) else context or ""
