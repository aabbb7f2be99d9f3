"""No two modules or folders of an app differ by a plural or an -ing only: a reader could not keep them apart."""

from collections.abc import Iterable, Iterator
from itertools import combinations

import pytest

from tests import house

# An edge names its modules after what it serves, as the subject does: items/, api/items.py and pages/items.py.
EDGES = ("api", "pages", "management", "templatetags", "models")
SHORTEST = 3


def stem(name: str) -> str:
    """A name without the plural and the -ing of its words: `exports`, `exporting` and `export` are one."""
    return "_".join(_stem(word) for word in name.split("_"))


def _stem(word: str) -> str:
    if word.endswith("ies") and len(word) > SHORTEST + 3:
        return word[:-3] + "y"
    if word.endswith("ing") and len(word) >= SHORTEST + 3:
        word = word[:-3]
        # running, route/routing
        return word[:-1] if len(word) > SHORTEST and word[-1] == word[-2] else word.removesuffix("e")
    if word.endswith("s") and not word.endswith("ss") and len(word) > SHORTEST:
        word = word[:-1]
    return word.removesuffix("e")


def near_names(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs of different names with the same stem."""
    for one, other in combinations(sorted(set(names)), 2):
        if stem(one) == stem(other):
            yield one, other


def names_of(app: str) -> set[str]:
    """The names of an app's folders and modules, edges and models left out."""
    places = [
        module.path.with_suffix("").parts[1:] for module in house.modules().values() if module.path.parts[0] == app
    ]
    return {name for parts in places if parts[0] not in EDGES for name in parts} - {"__init__"}


@pytest.mark.parametrize("app", house.APPS)
def test_no_two_names_of_an_app_differ_by_a_plural_or_an_ing(app: str) -> None:
    assert list(near_names(names_of(app))) == [], "name one of each pair after what it holds"


@pytest.mark.parametrize(
    "names",
    [
        ("export", "exports"),
        ("export", "exporting"),
        ("route", "routing"),
        ("launch", "launching"),
        ("policies", "policy"),
        ("clip", "clipping"),
        ("table", "tables"),
        ("row_file", "row_files"),
    ],
)
def test_near_names_are_found(names: tuple[str, str]) -> None:
    assert list(near_names(names)) == [names]


@pytest.mark.parametrize(
    "names", [("assign", "assignments"), ("files", "fillers"), ("process", "progress"), ("media", "model")]
)
def test_other_names_are_left_alone(names: tuple[str, str]) -> None:
    assert list(near_names(names)) == []
