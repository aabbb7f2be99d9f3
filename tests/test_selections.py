"""`make test`, `make test-rest`, `make test-vllm` and `make test-gpu` together run each test exactly once."""

import os
import shlex
import subprocess
import tomllib
from collections.abc import Collection
from functools import cache
from itertools import chain, combinations

import pytest
from _pytest.mark.expression import Expression

from tests.conftest import MARK_OF_FOLDER
from tests.paths import ROOT

TARGETS = ("test", "test-rest", "test-vllm", "test-gpu")


@cache
def words(target: str) -> list[str]:
    """What the target hands to pytest."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "PYTEST")
    }
    said = subprocess.run(
        ["make", "--just-print", target], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    [command] = [line for line in said.splitlines() if " -m pytest " in line]
    return shlex.split(command.partition(" -m pytest ")[2])


@cache
def selection(target: str) -> Expression:
    given = words(target)
    return Expression.compile(given[given.index("-m") + 1])


def takes(target: str, carried: Collection[str]) -> bool:
    def carries(mark: str, /, **_arguments: str | int | bool | None) -> bool:
        return mark in carried

    return selection(target).evaluate(carries)


def declared_marks() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert settings["testpaths"] == ["tests"] and "--strict-markers" in settings["addopts"]
    return [line.partition(":")[0] for line in settings["markers"]]


def test_a_test_with_any_marks_or_none_is_in_exactly_one_selection() -> None:
    marks = declared_marks()
    every = list(chain.from_iterable(combinations(marks, count) for count in range(len(marks) + 1)))
    assert len(every) == 2 ** len(marks) > 100
    taken = {carried: [target for target in TARGETS if takes(target, carried)] for carried in every}
    assert {carried: by for carried, by in taken.items() if len(by) != 1} == {}
    assert taken[()] == ["test"], "a file without a mark is in the first one"
    assert all((by == ["test-gpu"]) == ("gpu" in carried) for carried, by in taken.items())


@pytest.mark.parametrize("target", TARGETS)
def test_a_selection_is_made_by_marks_alone(target: str) -> None:
    given = words(target)
    assert given.count("-m") == 1
    assert not {"-k", "--ignore", "--deselect"} & {word.partition("=")[0] for word in given}
    assert [word for word in given if (ROOT / word).exists()] == [], "all of testpaths is collected"


def test_no_test_lies_outside_of_the_collected_folder() -> None:
    assert [
        path
        for folder in ("annotation", "training", "guardapp", "benchmarks")
        for path in (ROOT / folder).rglob("test_*.py")
    ] == []


class Collected(pytest.Item):
    """A test of a file that is not there yet."""

    def runtest(self) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(("folder", "mark"), MARK_OF_FOLDER.items())
def test_a_new_file_in_a_marked_folder_has_its_mark(request: pytest.FixtureRequest, folder: str, mark: str) -> None:
    assert mark in declared_marks() and (ROOT / "tests" / folder).is_dir()
    item = Collected.from_parent(request.session, name="new", path=ROOT / "tests" / folder / "test_new.py")
    request.config.hook.pytest_itemcollected(item=item)
    assert [each.name for each in item.iter_markers()] == [mark]
