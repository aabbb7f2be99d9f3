"""Earlier decisions on the author of an item, as far as the person may see them."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.context.author_history import COUNTED
from annotation.models import Author, GoldLabel, HiddenGold, Item, ReviewerGroup, ReviewQueue
from annotation.status import ItemStatus, Role
from tests.cases.test_context import author, decided, shown
from tests.factories import make_item, make_user

pytestmark = pytest.mark.django_db


def test_the_history_of_an_author_counts_what_was_decided_on_their_other_items() -> None:
    ann = author(name="Ann")
    item = make_item(author=ann)
    for label in ("harmful", "harmful", "unharmful"):
        decided(label, author=ann)
    make_item(author=ann)
    make_item(author=Author.objects.create(source="elsewhere", external_id="u-17"))
    make_item(author=ann, status=ItemStatus.WITHDRAWN, free_slots=0)
    history = shown(item).history
    assert history is not None
    assert (history.harmful, history.unharmful, history.waiting, len(history.last)) == (2, 1, 1, 3)
    assert [past.label for past in history.last] == ["unharmful", "harmful", "harmful"], "newest first"


def test_an_undone_decision_and_the_item_itself_are_no_earlier_decisions() -> None:
    ann = author()
    item, undone = decided(author=ann), decided(author=ann)
    GoldLabel.objects.filter(item=undone).update(withdrawn_at=undone.created_at)
    history = shown(item).history
    assert history is not None and (history.harmful, history.total) == (0, 0)


def test_only_decisions_in_queues_that_the_person_may_see_are_counted() -> None:
    ann, group = author(), ReviewerGroup.objects.create(name="others")
    theirs = ReviewQueue.objects.create(slug="theirs", name="Theirs", everybody=False)
    theirs.groups.add(group)
    item = make_item(author=ann)
    decided(author=ann, queue=theirs)
    member = make_user()
    member.groups_of_review.add(group)
    seen = [(history.harmful if (history := shown(item, one).history) else None) for one in (make_user(), member)]
    assert seen == [0, 1]
    assert (lead := shown(item, make_user(Role.LEAD)).history) is not None and lead.harmful == 1


def test_hidden_gold_is_not_among_the_earlier_decisions_of_its_author() -> None:
    ann = author()
    gold, item = decided(author=ann), make_item(author=ann)
    hidden = HiddenGold.objects.create(item=gold, prompt_label="harmful")
    assert (history := shown(item).history) is not None and history.total == 0
    HiddenGold.objects.filter(pk=hidden.pk).update(active=False)
    assert (history := shown(item).history) is not None and history.harmful == 1


def test_the_context_takes_the_same_number_of_queries_however_much_there_is() -> None:
    ann, user = author(), make_user()
    small, large = make_item(author=ann), make_item(author=ann, report_count=1)
    decided(author=ann)

    def queries(item: Item) -> int:
        item = Item.objects.get(pk=item.pk)
        with CaptureQueriesContext(connection) as seen:
            shown(item, user)
        return len(seen)

    few = queries(small)
    for number in range(20):
        decided(author=ann)
        large.reports.create(reason={"text": str(number)}, digest=str(number))
    assert queries(large) == few + 1, "the reports"
    assert few <= 5


def test_only_the_newest_items_of_an_author_are_counted() -> None:
    ann = author()
    item = make_item(author=ann)
    Item.objects.bulk_create(
        Item(
            source="test",
            external_id=f"many-{number}",
            modality="text",
            queue=item.queue,
            author=ann,
            content_hash="x",
            status=ItemStatus.READY,
        )
        for number in range(COUNTED + 5)
    )
    history = shown(item).history
    assert history is not None and (history.waiting, history.many) == (COUNTED, True)


def test_more_by_this_author_lists_their_items(client: Client) -> None:
    ann = author(name="Ann")
    item, other = make_item(author=ann), make_item(author=ann)
    make_item()
    client.force_login(make_user())
    page = client.get(f"{reverse('items')}?{shown(item).more_by_author}")
    assert {one.pk for one in page.context["page"].items} == {item.pk, other.pk}
