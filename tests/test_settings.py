"""Variables of the environment: registered where they are read, refused where misspelt, and all in docs/settings.md."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from guardapp import env
from guardapp.settings import __main__ as document
from tests.paths import ROOT

OWN = re.compile(r"\bGUARDAPP_[A-Z_]+[A-Z]\b")
# set by one of our processes for another
INTERNAL = {"GUARDAPP_AGENT"}
FOLDERS = ("guardapp", "annotation", "training", "docker", "benchmarks", "tests")


@pytest.fixture
def section(monkeypatch: pytest.MonkeyPatch) -> env.Section:
    monkeypatch.setattr(env, "REGISTER", dict(env.REGISTER))
    return env.Section("A test")


def test_the_page_shows_every_variable_as_it_is_read() -> None:
    present = document.PAGE.read_text()
    assert present == document.page(present), "python -m guardapp.settings writes it"
    assert all(f"| `{name}` |" in present for name in env.REGISTER)


def test_the_page_shows_a_variable_of_a_new_section(section: env.Section) -> None:
    section.integer("GUARDAPP_NEW", 7, "something new", minimum=3)
    shown = document.page(document.PAGE.read_text())
    assert "## A test" in shown and "| `GUARDAPP_NEW` | whole number, at least 3 | `7` | something new |" in shown


def test_every_name_that_code_tests_and_containers_use_is_registered() -> None:
    files = [
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".yaml", ".md") or path.name == "Dockerfile"
    ]
    used = {name: path for path in files if path.name != "test_settings.py" for name in OWN.findall(path.read_text())}
    assert len(used) > 40
    assert {name: path for name, path in used.items() if name not in env.REGISTER.keys() | INTERNAL} == {}


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    env.refuse_unknown("GUARDAPP_")
    monkeypatch.setenv("GUARDAPP_BACTH", "3")
    with pytest.raises(ImproperlyConfigured, match="Unknown setting GUARDAPP_BACTH"):
        env.refuse_unknown("GUARDAPP_")


def test_a_variable_is_read_in_one_place(section: env.Section) -> None:
    with pytest.raises(ImproperlyConfigured, match="GUARDAPP_BATCH is read in two places"):
        section.integer("GUARDAPP_BATCH", 16, "items")


@pytest.mark.parametrize(
    ("read", "given", "problem"),
    [
        (lambda s: s.integer("GUARDAPP_NEW", 7, "", minimum=3), "soon", "is not a whole number"),
        (lambda s: s.integer("GUARDAPP_NEW", 7, "", minimum=3), "2", "is below 3"),
        (lambda s: s.boolean("GUARDAPP_NEW", False, ""), "perhaps", "is not a yes or no"),
        (lambda s: s.choice("GUARDAPP_NEW", "a", ["a", "b"], ""), "c", "is not one of a, b"),
        (lambda s: s.days("GUARDAPP_NEW", ["media"], ""), "letters=3", "is not NAME=DAYS"),
    ],
)
def test_a_wrong_value_is_refused_by_name(
    section: env.Section,
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[[env.Section], Any],
    given: str,
    problem: str,
) -> None:
    monkeypatch.setenv("GUARDAPP_NEW", given)
    with pytest.raises(ImproperlyConfigured, match=f"GUARDAPP_NEW.*{problem}"):
        read(section)


@pytest.mark.parametrize(("given", "value"), [("1", True), ("Yes", True), ("off", False), ("", False)])
def test_yes_and_no_have_several_words(
    section: env.Section, monkeypatch: pytest.MonkeyPatch, given: str, value: bool
) -> None:
    monkeypatch.setenv("GUARDAPP_NEW", given)
    assert section.boolean("GUARDAPP_NEW", not value, "") is value
