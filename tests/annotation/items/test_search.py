"""Searching items."""

import pytest

from annotation.items.search import ItemSearch
from annotation.models import ItemText
from annotation.status import ItemStatus
from tests.factories import make_item

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bread", {"bread"}),
        ("BREAD oven", {"bread"}),
        ("bre", {"bread"}),
        ("bread bomb", set()),
        ("Café", {"cafe"}),
        ("sure", {"answer"}),
        ("", {"bread", "cafe", "answer"}),
        ("!!! ...", set()),
        ("rea ove", {"bread"}),
        ('" OR 1=1 --', set()),
        ("NEAR(bread, oven)", set()),
        ("prompt:bread", set()),
        ("пиво", set()),
    ],
)
def test_every_word_stands_somewhere_in_prompt_or_response(text: str, found: set[str]) -> None:
    items = {
        "bread": make_item(prompt="How do I bake bread in an oven?"),
        "cafe": make_item(prompt="Le café est fermé"),
        "answer": make_item(prompt="Can you help me with this?", response="Sure, here you are."),
    }
    assert set(ItemSearch(text=text).items()) == {items[name] for name in found}


def test_the_index_follows_the_texts() -> None:
    item = make_item(prompt="An old word")
    ItemText.objects.filter(item=item).update(text="a new phrase")
    assert not ItemSearch(text="old").items().exists()
    assert ItemSearch(text="phrase").items().get() == item
    item.delete()
    assert not ItemSearch(text="phrase").items().exists()


def test_a_search_narrows_by_all_that_is_given() -> None:
    item = make_item(prompt="A gun", language="en", prediction={"categories": ["S9"]})
    make_item(prompt="A gun", language="de"), make_item(prompt="A gun", language="en", status=ItemStatus.REVIEWED)
    search = ItemSearch.of(
        {
            "text": "gun",
            "language": "en",
            "status": "ready",
            "category": "S9",
            "label": "harmful",
            "source": "te",
            "since": "2020-01-01",
            "until": "2999-01-01",
            "version": "starter",
            "modality": "text",
        }
    )
    assert search.items().get() == item
    assert ItemSearch.of({"until": "2020-01-01"}).items().count() == 0


def test_what_a_search_does_not_know_it_leaves_out() -> None:
    make_item()
    search = ItemSearch.of({"status": "eaten", "since": "yesterday", "lane": "fast", "sauce": "x", "text": "\x00"})
    assert search.items().count() == 1
    assert set(search.narrowed) == {"since"}


def test_what_a_person_types_are_words_or_the_beginning_of_an_id() -> None:
    bread, cake = make_item(prompt="How do I bake bread?"), make_item(prompt="How do I bake a cake?")
    assert set(ItemSearch(q="bake").items()) == {bread, cake}
    assert ItemSearch(q=bread.external_id, status="ready").items().get() == bread
    assert ItemSearch(q="?!").items().count() == 0
    assert (
        ItemSearch.of({"q": "a b", "label": "harmful", "since": "9999-12-31"}).without("label").query
        == "q=a+b&since=9999-12-31"
    )
    assert ItemSearch(since="9999-12-31").items().count() == 2  # the day after it cannot be written
