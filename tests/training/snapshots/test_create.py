"""Snapshots: what gets in, which side it takes, and that it never changes."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import IntegrityError

from annotation.models import Event, GoldLabel, HiddenGold
from annotation.policies.publish import CategoryText, categories_of, publish_version
from annotation.review import gold as gold_services
from annotation.status import Role, TargetSource
from guardapp.guard.parsing import parse
from guardapp.guard.splits import normalise_text
from guardapp.guard.taxonomy import DEFAULT_CODES
from tests.factories import default_policy, make_user
from tests.training.rows import make_gold, make_much_gold, make_snapshot
from training.errors import GoldChanged, NotEnoughGold, SnapshotDamaged, SnapshotNameTaken
from training.files import file_of
from training.learning.rows import read_rows
from training.models import DatasetSnapshot, SnapshotRow
from training.snapshots import create
from training.snapshots.create import SnapshotFilters, create_snapshot, verify_snapshot
from training.snapshots.pinned_file import pin
from training.status import Split

pytestmark = pytest.mark.django_db
EVERYTHING = SnapshotFilters()


def test_a_snapshot_is_a_file_that_jobs_can_read_and_its_sha256() -> None:
    snapshot = make_snapshot(40)
    rows = list(read_rows(file_of(snapshot), Path("/")))
    assert len(rows) == snapshot.counts["train"] + snapshot.counts["holdout"] == 40
    assert snapshot.counts["holdout"] >= 2
    verify_snapshot(snapshot)
    assert all(
        parse(row.completion, response_expected=False, codes=DEFAULT_CODES) for row in rows if row.split == "train"
    )


def test_a_row_carries_the_codes_of_its_policy_where_a_lead_added_some() -> None:
    lead, policy = make_user(Role.LEAD), default_policy()
    make_much_gold(lead, 40)
    before = create_snapshot(created_by=lead, filters=EVERYTHING)
    added = [*categories_of(policy), CategoryText("KNIVES", "Knives", "Blades.")]
    publish_version(policy=policy.policy, text="", categories=added, change="Knives.", by=lead, based_on=1)
    after = create_snapshot(created_by=lead, filters=EVERYTHING)
    plain, carrying = (
        {row.sample.codes for row in read_rows(file_of(snapshot), Path("/"))} for snapshot in (before, after)
    )
    assert (plain, carrying) == ({DEFAULT_CODES}, {DEFAULT_CODES | {"KNIVES"}})
    assert "codes" not in file_of(before).read_text()


def test_near_copies_share_a_side() -> None:
    lead = make_user(Role.LEAD)
    for n in range(30):
        make_gold(lead, prompt=f"How do I boil egg number {n}?")
        make_gold(lead, prompt=f"how do I  BOIL egg number {n} !!")
    snapshot = create_snapshot(created_by=lead, filters=EVERYTHING)
    sides: dict[str, set[str]] = {}
    for line in file_of(snapshot).read_text().splitlines():
        row = json.loads(line)
        sides.setdefault(normalise_text(row["prompt"]), set()).add(row["split"])
    assert len(sides) == 30 and all(len(side) == 1 for side in sides.values())


def test_no_row_changes_sides_in_later_snapshots() -> None:
    lead = make_user(Role.LEAD)
    make_much_gold(lead, 30)
    first = create_snapshot(created_by=lead, filters=EVERYTHING)
    make_much_gold(lead, 60, words="Say more of")
    second = create_snapshot(created_by=lead, filters=EVERYTHING)
    before = dict(first.rows.values_list("gold_id", "split"))
    after = dict(second.rows.values_list("gold_id", "split"))
    assert {gold: after[gold] for gold in before} == before


def test_a_near_copy_of_a_held_out_row_is_held_out() -> None:
    lead = make_user(Role.LEAD)
    first_gold = make_much_gold(lead, 30)
    first = create_snapshot(created_by=lead, filters=EVERYTHING)
    copies = {gold.pk: make_gold(lead, prompt=f"{gold.item.prompt.upper()}...").pk for gold in first_gold}
    second = create_snapshot(created_by=lead, filters=EVERYTHING)
    sides = dict(second.rows.values_list("gold_id", "split"))
    for gold_id, side in first.rows.values_list("gold_id", "split"):
        assert sides[copies[gold_id]] == side


def test_hidden_gold_is_held_out_with_its_near_copies_unless_a_version_has_learned_it() -> None:
    lead = make_user(Role.LEAD)
    make_much_gold(lead)
    first = create_snapshot(created_by=lead, filters=EVERYTHING)
    learned = first.rows.filter(split=Split.TRAIN).order_by("id")[0].gold
    fresh = make_much_gold(lead, 20, words="What is")
    for gold in (learned, *fresh):
        HiddenGold.objects.create(item=gold.item, prompt_label=gold.prompt_label)
    copy = make_gold(lead, prompt=f"{fresh[0].item.prompt}!")
    second = create_snapshot(created_by=lead, filters=EVERYTHING)
    sides = dict(second.rows.values_list("gold_id", "split"))
    assert {sides[gold.pk] for gold in (*fresh, copy)} == {Split.HOLDOUT}
    assert sides[learned.pk] == Split.TRAIN


def test_only_standing_settled_gold_gets_in() -> None:
    lead = make_user(Role.LEAD)
    make_much_gold(lead, 30)
    unsettled, withdrawn = make_gold(lead, settled_ago=-60), make_gold(lead, withdrawn=True)
    snapshot = create_snapshot(created_by=lead, filters=EVERYTHING)
    assert not snapshot.rows.filter(gold__in=[unsettled, withdrawn]).exists()


def test_train_rows_without_a_usable_target_are_dropped_and_counted() -> None:
    lead = make_user(Role.LEAD)
    make_much_gold(lead, 30)
    make_much_gold(lead, 20, words="Whisper of", source=TargetSource.PENDING, steps=[])
    snapshot = create_snapshot(created_by=lead, filters=EVERYTHING)
    dropped = snapshot.counts["dropped"]["target pending"]
    assert 0 < dropped < 20  # the held-out ones stay: they need labels only
    assert dropped + snapshot.counts["train"] + snapshot.counts["holdout"] == 50
    trained = [json.loads(line) for line in file_of(snapshot).read_text().splitlines()]
    assert all(row["completion"] for row in trained if row["split"] == "train")


def test_a_target_that_cannot_be_read_back_is_dropped() -> None:
    lead = make_user(Role.LEAD)
    make_much_gold(lead, 30)
    make_much_gold(lead, 20, words="Sing of", steps=["   "])
    snapshot = create_snapshot(created_by=lead, filters=EVERYTHING)
    assert snapshot.counts["dropped"]["target does not read back as gold"] > 0


def test_gold_in_a_snapshot_is_frozen() -> None:
    snapshot = make_snapshot(40)
    used = GoldLabel.objects.filter(snapshot_rows__snapshot=snapshot)
    assert not used.filter(used_at=None).exists()
    with pytest.raises(IntegrityError):
        used.update(withdrawn_at="2030-01-01T00:00Z")


def test_the_file_is_read_only_and_a_changed_one_is_refused() -> None:
    snapshot = make_snapshot(40)
    path = file_of(snapshot)
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    path.chmod(0o644)
    path.write_text(path.read_text().replace("unharmful", "harmful", 1))
    with pytest.raises(SnapshotDamaged):
        verify_snapshot(snapshot)


def test_too_little_gold_says_how_much_is_missing() -> None:
    lead = make_user(Role.LEAD)
    make_much_gold(lead, 3)
    make_gold(lead, source=TargetSource.PENDING, steps=[])
    with pytest.raises(NotEnoughGold, match=r"at least 8 and 2 are needed.*1 corrections still wait"):
        create_snapshot(created_by=lead, filters=EVERYTHING)
    assert not DatasetSnapshot.objects.exists()


def test_a_failed_snapshot_leaves_nothing(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lead = make_user(Role.LEAD)
    make_much_gold(lead, 30)
    monkeypatch.setattr(
        "training.snapshots.create.mark_used", lambda *, gold_ids: gold_services.mark_used(gold_ids=gold_ids) - 1
    )
    with pytest.raises(GoldChanged):
        create_snapshot(created_by=lead, filters=EVERYTHING)
    assert not DatasetSnapshot.objects.exists() and not SnapshotRow.objects.exists() and not Event.objects.exists()
    assert list(Path(settings.SNAPSHOTS_DIR).iterdir()) == []
    assert not GoldLabel.objects.filter(used_at__isnull=False).exists()


def test_a_name_is_used_once() -> None:
    snapshot = make_snapshot(40)
    with pytest.raises(SnapshotNameTaken):
        create_snapshot(created_by=snapshot.created_by, name=snapshot.name, filters=EVERYTHING)


def test_filters_choose_the_gold() -> None:
    lead = make_user(Role.LEAD)
    make_much_gold(lead, 30)
    make_much_gold(lead, 30, words="Draw", hard=True)
    hard = create_snapshot(created_by=lead, filters=SnapshotFilters(hard_only=True))
    assert hard.counts["train"] + hard.counts["holdout"] == hard.counts["hard"] == 30
    assert hard.rows.filter(split=Split.HOLDOUT).exists()
    with pytest.raises(NotEnoughGold):
        create_snapshot(created_by=lead, filters=SnapshotFilters(sources=("elsewhere",)))


def test_a_snapshot_that_comes_second_leaves_the_file_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    lead = make_user(Role.LEAD)
    make_much_gold(lead, 30)
    others: list[Path] = []

    def meanwhile(placed: Any, *_: Any) -> dict[str, Any]:
        """Somebody else takes the same gold under the same name, a moment before this one writes its row."""
        folder = file_of(DatasetSnapshot(path=""))
        with pin((gold.row.as_json(Path(settings.MEDIA_ROOT)) for gold in placed), folder) as pinned:
            pinned.place()
        others.append(folder / pinned.name)
        raise IntegrityError

    monkeypatch.setattr(create, "_counts", meanwhile)
    with pytest.raises(SnapshotNameTaken):
        create_snapshot(created_by=lead, filters=EVERYTHING)
    assert others[0].exists()
    assert list(others[0].parent.iterdir()) == others
