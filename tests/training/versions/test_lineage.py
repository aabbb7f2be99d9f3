"""Lineage: from an item to the promotion of what it taught, and from there back to the item."""

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import Item, ModelVersion, Prediction, ReviewRetraction, User
from annotation.status import Role
from tests.factories import make_item, make_user, production
from tests.training.rows import make_candidate, make_evaluation, make_gold, make_snapshot
from training.models import DatasetSnapshot, TrainingRun
from training.status import RunKind, RunStatus, Split
from training.versions.lineage import ROWS_PAGE, ancestry, lineage_of_item, rows_of
from training.versions.promotion import promote

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead() -> User:
    return make_user(Role.LEAD)


@pytest.fixture
def snapshot() -> DatasetSnapshot:
    return make_snapshot(40, hard=True)


@pytest.fixture
def run(snapshot: DatasetSnapshot) -> TrainingRun:
    """It has succeeded: its candidate is evaluated beside production."""
    made = TrainingRun.objects.create(
        name="r1",
        snapshot=snapshot,
        base_version=production(),
        status=RunStatus.SUCCEEDED,
        version=make_candidate(production()),
    )
    for version in (made.version, production()):
        assert version is not None
        make_evaluation(version, snapshot)
    return made


def one_of(snapshot: DatasetSnapshot, split: Split) -> Item:
    return snapshot.rows.filter(split=split).select_related("gold__item").order_by("id")[0].gold.item


def test_a_train_row_leads_to_the_run_its_version_and_its_promotion(
    snapshot: DatasetSnapshot, run: TrainingRun, lead: User
) -> None:
    assert run.version is not None
    promote(version=run.version, approver=lead, reason="Better.")
    lineage = lineage_of_item(one_of(snapshot, Split.TRAIN))
    assert [prediction.version.name for prediction in lineage.predictions] == ["starter"]
    assert len(lineage.reviews) == 1
    [settled] = lineage.settled
    [place] = settled.places
    assert place.taught and place.runs == [run]
    assert [promotion.version for promotion in lineage.promotions] == [run.version]


def test_a_held_out_row_taught_nobody_and_was_answered(snapshot: DatasetSnapshot, run: TrainingRun) -> None:
    lineage = lineage_of_item(one_of(snapshot, Split.HOLDOUT))
    [place] = lineage.settled[0].places
    assert not place.taught and place.runs == () and lineage.promotions == []
    assert {answer.evaluation.version.name for answer in lineage.answers} == {"candidate", "starter"}


def test_a_mining_taught_nobody(snapshot: DatasetSnapshot) -> None:
    TrainingRun.objects.create(name="m1", kind=RunKind.MINE, snapshot=snapshot, base_version=production())
    assert lineage_of_item(one_of(snapshot, Split.TRAIN)).settled[0].places[0].runs == []


def test_an_item_of_today_has_come_to_nothing_yet() -> None:
    lineage = lineage_of_item(make_item(predicted=False))
    assert (lineage.predictions, lineage.reviews, lineage.settled, lineage.answers, lineage.promotions) == (
        [],
        [],
        [],
        [],
        [],
    )


def test_a_benchmark_row_with_the_number_of_an_item_is_not_taken_for_it(
    snapshot: DatasetSnapshot, run: TrainingRun
) -> None:
    stranger = make_item()
    assert run.version is not None
    row = run.version.evaluations.get().rows.order_by("id")[0]
    row.row_id = str(stranger.pk)
    row.save(update_fields=["row_id"])
    assert lineage_of_item(stranger).answers == []


def test_a_version_leads_back_to_the_first_one(snapshot: DatasetSnapshot, run: TrainingRun) -> None:
    assert run.version is not None
    second = make_candidate(run.version, "second")
    assert [(step.version.name, step.run) for step in ancestry(second)] == [
        ("second", None),
        ("candidate", run),
        ("starter", None),
    ]


def test_a_snapshot_leads_back_to_its_items_by_side_and_page(snapshot: DatasetSnapshot, lead: User) -> None:
    held_out = rows_of(snapshot, split=Split.HOLDOUT)
    assert {row.gold.item for row in held_out.rows} == {row.gold.item for row in snapshot.rows.filter(split="holdout")}
    large = make_snapshot(ROWS_PAGE + 10, words="Explain")
    first = rows_of(large)
    assert first.next_after is not None
    second = rows_of(large, after=first.next_after)
    ids = [row.pk for row in (*first.rows, *second.rows)]
    assert (
        len(first.rows) == ROWS_PAGE
        and second.next_after is None
        and ids == sorted(set(ids))
        and len(ids) == large.rows.count()
    )


@pytest.fixture
def page(client: Client, lead: User) -> Client:
    client.force_login(lead)
    return client


def test_the_item_page_links_to_its_lineage_for_leads(
    page: Client, snapshot: DatasetSnapshot, run: TrainingRun
) -> None:
    item = one_of(snapshot, Split.TRAIN)
    address = reverse("training:lineage_item", args=[item.pk])
    assert address in page.get(reverse("item", args=[item.pk])).text
    content = page.get(address).text
    assert "run r1" in content and snapshot.name in content and "candidate" in content
    page.force_login(make_user(Role.REVIEWER))
    assert address not in page.get(reverse("item", args=[item.pk])).text


def test_the_lineage_page_shows_withdrawn_and_silent_things(page: Client, lead: User) -> None:
    gold = make_gold(lead, withdrawn=True)
    ReviewRetraction.objects.create(review=gold.review)
    Prediction.objects.create(
        item=gold.item, version=make_candidate(production()), shadow=True, parsed=False, completion="…"
    )
    content = page.get(reverse("training:lineage_item", args=[gold.item_id])).text
    assert (
        "withdrawn" in content
        and "undone" in content
        and "silent, in shadow mode" in content
        and "did not parse" in content
    )


def test_lineage_pages_are_closed_to_reviewers(client: Client, snapshot: DatasetSnapshot) -> None:
    client.force_login(make_user(Role.REVIEWER))
    item = one_of(snapshot, Split.TRAIN)
    for name, pk in (("lineage_item", item.pk), ("lineage_snapshot", snapshot.pk)):
        assert client.get(reverse(f"training:{name}", args=[pk])).status_code == 403


@pytest.mark.parametrize(
    "query", ["", "?split=train", "?split=holdout&after=5", "?split=nowhere&after=x", "?after=99999999999999999999"]
)
def test_the_snapshots_items_open_whatever_is_asked(page: Client, snapshot: DatasetSnapshot, query: str) -> None:
    assert page.get(reverse("training:lineage_snapshot", args=[snapshot.pk]) + query).status_code == 200


def test_the_version_page_leads_to_the_items_that_it_learnt_from(page: Client, run: TrainingRun) -> None:
    version = run.version
    assert isinstance(version, ModelVersion)
    version.evaluations.all().delete()
    content = page.get(reverse("training:version", args=[version.pk])).text
    assert reverse("training:lineage_snapshot", args=[run.snapshot_id]) in content
