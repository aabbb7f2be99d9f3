"""The list of items: narrowed, saved, chosen from; and who may what."""

import pytest
from django.test import Client
from django.urls import reverse

from annotation.items import lists
from annotation.models import Appeal, GoldLabel, Item, ReviewQueue, SavedFilter, User
from annotation.review.assign import assign_next
from annotation.status import ItemStatus, ReviewMode, Role
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def lead() -> User:
    return make_user(Role.LEAD)


def shown(client: Client, **asked: str) -> set[Item]:
    return set(client.get(reverse("items"), asked).context["page"].items)


def test_the_search_finds_words_and_beginnings_of_ids() -> None:
    bread, cake = make_item(prompt="How do I bake bread?"), make_item(prompt="How do I bake a cake?")
    client = signed_in(make_user())
    assert shown(client, q="bake bre") == {bread}
    assert shown(client, q=cake.external_id) == {cake}
    assert shown(client, q="???") == set()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source", "forum"),
        ("lane", "uncertain"),
        ("modality", "video"),
        ("language", "de"),
        ("queue", "other"),
        ("category", "S9"),
        ("label", "unharmful"),
        ("since", "2999-01-01"),
    ],
)
def test_a_lead_narrows_by_everything(lead: User, name: str, value: str) -> None:
    other = ReviewQueue.objects.create(slug="other", name="Other")
    make_item()
    wanted = make_item(
        lane="uncertain",
        modality="video",
        language="de",
        queue=other,
        prediction={"categories": ["S9"], "prompt_label": "unharmful"},
    )
    Item.objects.filter(pk=wanted.pk).update(source="forum", created_at="2999-01-02T00:00:00Z")
    assert shown(signed_in(lead), **{name: value}) == {wanted}


@pytest.mark.parametrize("asked", [{"label": "harmful"}, {"category": "S1"}, {"version": "starter"}])
def test_reviewers_learn_no_hidden_judgement_by_narrowing(lead: User, asked: dict[str, str]) -> None:
    queue = default_queue(mode=ReviewMode.BLIND)
    items = {make_item(queue=queue), make_item(queue=queue, prediction={"prompt_label": "unharmful", "categories": []})}
    client = signed_in(make_user())
    assert shown(client, **asked) == items
    page = client.get(reverse("items"), asked).text
    assert "Guard says: " not in page and 'name="label"' not in page
    if "version" not in asked:
        assert len(shown(signed_in(lead), **asked)) == 1


def test_chips_take_one_filter_away_and_pages_keep_all(lead: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "PAGE_SIZE", 1)
    newest_first = [make_item(language="de", prompt="Tell me & more").pk for _ in range(3)][::-1]
    make_item(language="en")
    client = signed_in(lead)
    page = client.get(reverse("items"), {"language": "de", "q": "tell &"})
    assert [chip.query for chip in page.context["chips"]] == ["language=de", "q=tell+%26"]
    seen = []
    while True:
        seen += [row.pk for row in page.context["page"].items]
        older = page.context["page"].older
        if older is None:
            break
        link = f"?q=tell+%26&amp;language=de&amp;before={older}"
        assert link in page.text
        page = client.get(reverse("items") + link.replace("&amp;", "&"))
    assert seen == newest_first


def test_the_grid_is_for_leads_and_blurred(lead: User) -> None:
    item = make_item(
        prediction={"media_seen": [{"asset": "0" * 64, "folder": "x", "timestamps": [0.0], "width": 64, "height": 48}]}
    )
    page = signed_in(lead).get(reverse("items"), {"view": "grid"}).text
    assert "tile is-blurred" in page and reverse("frame", args=[item.prediction_id, 0, 0]) in page
    page = signed_in(make_user()).get(reverse("items"), {"view": "grid"}).text
    assert "tile" not in page and 'name="item"' not in page


def save(client: Client, name: str = "German", query: str = "language=de&sauce=x", **fields: str) -> str:
    return client.post(reverse("filter_save"), {"name": name, "query": query, **fields}, follow=True).text


def test_a_filter_is_saved_under_a_name_and_replaced_under_it() -> None:
    user = make_user()
    client = signed_in(user)
    assert "Saved as German." in save(client)
    assert "Saved as German." in save(client, query="language=de&status=ready")
    saved = SavedFilter.objects.get()
    assert (saved.owner, saved.query, saved.shared) == (user, "status=ready&language=de", False)
    assert f'href="{reverse("items")}?status=ready&amp;language=de"' in client.get(reverse("items")).text


@pytest.mark.parametrize("fields", [{"name": " "}, {"name": "x" * 101}, {"query": "sauce=x"}])
def test_a_filter_without_name_or_content_is_refused(fields: dict[str, str]) -> None:
    assert "needs a name" in save(signed_in(make_user()), **fields)
    assert not SavedFilter.objects.exists()


def test_others_see_shared_filters_only_and_only_owner_and_leads_delete(lead: User) -> None:
    owner, other = signed_in(make_user()), signed_in(make_user())
    save(owner, "Own"), save(owner, "For all", shared="on")
    own, shared = SavedFilter.objects.order_by("pk")
    assert [row.name for row, _ in other.get(reverse("items")).context["saved"]] == ["For all"]
    assert other.post(reverse("filter_delete", args=[own.pk])).status_code == 404
    assert "Only its owner" in other.post(reverse("filter_delete", args=[shared.pk]), follow=True).text
    assert Client().post(reverse("filter_delete", args=[shared.pk])).status_code == 302
    assert SavedFilter.objects.count() == 2
    signed_in(lead).post(reverse("filter_delete", args=[shared.pk]))
    owner.post(reverse("filter_delete", args=[own.pk]))
    assert not SavedFilter.objects.exists()


@pytest.mark.parametrize("name", ["items_move", "items_decide"])
def test_only_leads_act_on_chosen_items(lead: User, name: str) -> None:
    item = make_item()
    asked = {"item": item.pk, "to": "default"}
    assert signed_in(make_user()).post(reverse(name), asked).status_code == 403
    assert Client().post(reverse(name), asked)["Location"].startswith(reverse("login"))
    assert signed_in(lead).get(reverse(name)).status_code == 405


def test_chosen_items_move_and_held_ones_stay(lead: User) -> None:
    other = ReviewQueue.objects.create(slug="other", name="Other")
    items = [make_item(), make_item()]
    held = assign_next(reviewer=make_user(), queue=default_queue())
    assert held is not None
    answer = signed_in(lead).post(
        reverse("items_move"),
        {"item": [item.pk for item in items], "to": "other", "query": "status=ready"},
        follow=True,
    )
    assert answer.redirect_chain[0][0] == f"{reverse('items')}?status=ready"
    assert "1 moved to Other. 1 stay" in answer.text
    assert Item.objects.get(queue=other).pk != held.item_id
    assert signed_in(lead).post(reverse("items_move"), {"item": items[0].pk, "to": "none"}).status_code == 404


def test_chosen_items_are_previewed_and_decided_together(lead: User) -> None:
    client, items, left = signed_in(lead), [make_item(), make_item()], make_item(status=ItemStatus.REVIEWED)
    chosen = {"item": [item.pk for item in [*items, left]]}
    preview = client.post(reverse("items_decide"), chosen)
    assert preview.status_code == 200 and not GoldLabel.objects.exists()
    verdict = {"prompt_label": "harmful", "categories": ["S2"], "idempotency_key": preview.context["key"]}
    assert client.post(reverse("items_decide"), chosen | verdict | {"prompt_label": ""}).status_code == 422
    done = client.post(reverse("items_decide"), chosen | verdict, follow=True)
    assert "2 items are settled. 1 were left out." in done.text
    assert set(GoldLabel.objects.values_list("item", flat=True)) == {item.pk for item in items}
    client.post(reverse("items_decide"), chosen | verdict)
    assert GoldLabel.objects.count() == 2
    assert "Choose items first." in client.post(reverse("items_decide"), {"item": "x"}, follow=True).text


def test_the_item_page_shows_language_round_appeal_and_stale_gold(lead: User) -> None:
    item = make_item(language="pt-BR", severity=2, round=2, queue=default_queue(mode=ReviewMode.BLIND))
    client = signed_in(lead)
    client.post(
        reverse("items_decide"), {"item": item.pk, "prompt_label": "harmful", "idempotency_key": "one-decision"}
    )
    gold = GoldLabel.objects.get()
    gold.stale_at = gold.created_at
    gold.save(update_fields=["stale_at"])
    Appeal.objects.create(item=item, gold=gold, reason="It is a quote.")
    page = client.get(reverse("item", args=[item.pk])).text
    for words in ("pt-BR", "2 of 3", "An appeal is open", "It is a quote.", "Its verdict is stale", "2: an appeal"):
        assert words in page
    page = signed_in(make_user()).get(reverse("item", args=[item.pk])).text
    assert "of 3, of the guard" not in page and "It is a quote." not in page


@pytest.mark.parametrize(
    ("role", "status", "seen"),
    [
        (Role.REVIEWER, ItemStatus.READY, False),
        (Role.REVIEWER, ItemStatus.REVIEWED, False),
        (Role.LEAD, ItemStatus.READY, False),
        (Role.LEAD, ItemStatus.ESCALATED, False),
        (Role.LEAD, ItemStatus.REVIEWED, True),
    ],
)
def test_the_labels_of_a_corpus_are_not_shown_before_people_have_decided(
    role: Role, status: ItemStatus, seen: bool
) -> None:
    item = make_item(status=status, metadata={"labels": {"prompt": "THE ANSWER"}, "thread": "t-17"})
    page = signed_in(make_user(role)).get(reverse("item", args=[item.pk])).text
    assert "t-17" in page
    assert ("THE ANSWER" in page) is seen
