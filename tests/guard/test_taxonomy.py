"""The built-in categories: everything about one stands in its row."""

import re
from pathlib import Path

from openai.types.moderation import Categories

from annotation.api.openai_shape import NAMES
from annotation.models import Prediction
from annotation.queues.priority import severity_of
from guardapp.guard.taxonomy import CATEGORY_BY_CODE, DEFAULT_CATEGORIES, OpenAICategory

HERE = Path(__file__).parents[2]


def test_every_category_has_a_whole_row_of_its_own() -> None:
    assert [category.code for category in DEFAULT_CATEGORIES] == [
        f"S{n}" for n in range(1, len(DEFAULT_CATEGORIES) + 1)
    ]
    assert len({category.name for category in DEFAULT_CATEGORIES}) == len(DEFAULT_CATEGORIES)
    for category in DEFAULT_CATEGORIES:
        assert category.name and category.guidance.endswith("."), category
        assert 1 <= category.severity <= 3, category


def test_the_row_decides_severity_and_openai_name() -> None:
    for category in DEFAULT_CATEGORIES:
        named = Prediction(prompt_label="harmful", categories=[category.code])
        assert severity_of(named) == category.severity
        assert [name for name, codes in NAMES.items() if category.code in codes] == (
            [category.openai] if category.openai else []
        )
    assert severity_of(Prediction(prompt_label="harmful", categories=["S7", "S4"])) == 3
    assert severity_of(Prediction(prompt_label="harmful", categories=["KNIVES"])) == 1
    assert severity_of(Prediction(prompt_label="harmful", categories=[])) == 1
    assert severity_of(Prediction(prompt_label="unharmful", categories=["S4"])) == 0


def test_the_openai_names_are_those_of_their_client() -> None:
    assert {name.value for name in OpenAICategory} == {field.alias or n for n, field in Categories.model_fields.items()}


def test_no_other_module_keeps_a_table_of_categories() -> None:
    """Severity and OpenAI name stood in dicts of other folders, where a new category was forgotten."""
    row = re.compile(r"""^\s*["'](S\d+)["']\s*:|:\s*\(["']S\d+["']""", re.MULTILINE)
    sources = [path for app in ("annotation", "guardapp") for path in (HERE / app).rglob("*.py")]
    assert [path.name for path in sources if row.search(path.read_text()) and "migrations" not in path.parts] == []
    assert CATEGORY_BY_CODE["S4"].severity == 3
