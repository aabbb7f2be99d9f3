"""An export that goes into a fresh installation gives the same labels, reviews, policies and events there."""

from pathlib import Path

import orjson
import pytest

from annotation.items.search import ItemSearch
from annotation.models import (
    Event,
    GoldLabel,
    Item,
    ModelVersion,
    PolicyVersion,
    Review,
    User,
)
from annotation.policies.publish import categories_of
from annotation.predictions.active_policy import active_policy_version
from tests.cases.lived_in import (
    EDITED,
    a_lived_in_installation,
    decide,
    differences,
    exported,
    imported,
    lines,
    wipe,
    without_local_ids,
)
from tests.factories import default_queue, make_item

pytestmark = pytest.mark.django_db


def test_a_fresh_installation_exports_the_same_again(tmp_path: Path) -> None:
    a_lived_in_installation()
    path, before = tmp_path / "rows.jsonl", exported()
    path.write_bytes(lines())
    wipe()
    report = imported(path)
    assert (report.created, report.exists, report.rejected) == (len(before), 0, [])
    found = differences(without_local_ids(exported()), without_local_ids(before))
    assert found == [], "\n".join(found)


def test_imported_items_are_found_by_their_words(tmp_path: Path) -> None:
    make_item(prompt="A loaf of sourdough")
    decide()
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines())
    wipe()
    imported(path)
    assert list(ItemSearch(text="sourdough").items()) == [Item.objects.get()]


def test_a_second_import_and_one_of_the_second_export_change_nothing(tmp_path: Path) -> None:
    a_lived_in_installation()
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines())
    wipe()
    first = imported(path)
    rows = (Item.objects.count(), Review.objects.count(), Event.objects.filter(item__isnull=False).count())
    for _ in range(2):
        again = imported(path)
        assert (again.created, again.exists, again.rejected_count) == (0, first.created, 0)
        path.write_bytes(lines())
    assert rows == (Item.objects.count(), Review.objects.count(), Event.objects.filter(item__isnull=False).count())


def test_people_come_as_placeholders_that_cannot_sign_in(tmp_path: Path) -> None:
    a_lived_in_installation()
    pseudonyms = set(User.objects.filter(pk__in=Review.objects.values("reviewer")).values_list("pseudonym", flat=True))
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines())
    wipe()
    imported(path)
    people = User.objects.filter(pseudonym__in=pseudonyms)
    assert people.count() == len(pseudonyms)
    assert not any(person.is_active or person.has_usable_password() or person.is_lead for person in people)


def test_versions_come_without_a_checkpoint_and_the_policy_goes_on(tmp_path: Path) -> None:
    a_lived_in_installation()
    newest = active_policy_version()
    told = (newest.number, newest.text, newest.change, newest.created_at, [one.code for one in categories_of(newest)])
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines())
    wipe()
    imported(path)
    assert not ModelVersion.objects.get(name="candidate-7").checkpoint
    assert not ModelVersion.objects.get(name="candidate-7").serves
    here = active_policy_version()
    assert (here.number, here.text, here.change, here.created_at, [one.code for one in categories_of(here)]) == told


def test_an_import_never_changes_the_policy_of_an_installation_that_is_in_use(tmp_path: Path) -> None:
    a_lived_in_installation()
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines())
    wipe()
    make_item()
    decide()
    active = active_policy_version()
    report = imported(path)
    assert report.rejected_count == 0 and active_policy_version() == active
    beside = PolicyVersion.objects.filter(policy__slug__startswith="default-imported-")
    assert [one.number for one in beside.order_by("number")] == [1, 2]
    assert GoldLabel.objects.filter(policy_version__in=beside).exists()


def test_a_bad_record_is_named_and_the_others_go_in(tmp_path: Path) -> None:
    for _ in range(8):
        make_item()
        decide(EDITED)
    good = exported()
    bad = [orjson.loads(orjson.dumps(record)) for record in good]
    del bad[1]["item"]["external_id"]
    bad[2]["review"][0]["verdict"]["prompt"] = "evil"
    bad[3]["final"]["review"] = 10**9
    bad[4]["item"]["request"] = "NUL \x00"
    bad[5]["format"] = "another"
    bad[6]["version"] = 99
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(map(orjson.dumps, bad)) + b'\n{"half": \n[]\n')
    wipe()
    report = imported(path)
    assert report.created == 2 and report.rejected_count == 8
    assert [(line, error.pointer) for _, line, error in report.rejected] == [
        (2, "/item/external_id"),
        (3, "/review/0/verdict/prompt"),
        (4, "/final/review"),
        (5, "/item/request"),
        (6, "/format"),
        (7, "/version"),
        (9, ""),
        (10, ""),
    ]
    path.write_bytes(b"\n".join(map(orjson.dumps, good)))
    assert (imported(path).created, imported(path).exists) == (6, 8)


def test_an_item_with_another_history_is_left_as_it_is(tmp_path: Path) -> None:
    item = make_item()
    decide(EDITED)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines())
    wipe()
    Item.objects.create(
        source=item.source,
        external_id=item.external_id,
        modality="text",
        prompt="Another text",
        queue=default_queue(),
        content_hash="0" * 64,
    )
    report = imported(path)
    assert [error.pointer for _, _, error in report.rejected] == ["/item/external_id"]
    assert Item.objects.get().prompt == "Another text" and not Review.objects.exists()


def test_records_of_version_1_are_still_read(tmp_path: Path) -> None:
    make_item(prediction={"disagreement": 0.5})
    decide(EDITED)
    [record] = exported()
    new = ("format", "version", "definitions", "events", "history")
    old = {name: value for name, value in record.items() if name not in new}
    kept = ("id", "source", "external_id", "modality", "text", "request", "response", "media")
    old["item"] = {name: record["item"][name] for name in kept}
    of_model = ("version", "output_raw", "steps", "verdict", "rollouts", "disagreement")
    old["model"] = {name: record["model"][name] for name in of_model}
    new_in_2 = {"id", "steps", "seconds", "round", "version", "policy_id", "policy_version", "first", "upholds", "bulk"}
    new_in_2.add("hidden_gold")
    old["review"] = [{name: value for name, value in one.items() if name not in new_in_2} for one in record["review"]]
    old["final"] = {name: record["final"][name] for name in ("verdict", "source", "policy_version", "at")}
    path = tmp_path / "rows.jsonl"
    path.write_bytes(orjson.dumps(old))
    wipe()
    assert imported(path).rejected == []
    [again] = exported()
    for name in ("model_input", "final", "target", "hard"):
        assert {key: again[name][key] for key in old[name] or ()} == (old[name] or {})
    for name in ("step_labels", "edits", "links", "verdict", "note", "lead_time_ms", "at"):
        assert again["review"][0][name] == old["review"][0][name]
