"""Every migration since the first release can run while the release before it serves."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, migrations, models, transaction
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState

from annotation.database.migration_operations import AddFieldInPlace, AddIndexQuietly
from annotation.status import ItemStatus
from tests.factories import make_item
from tests.migration_rules import breaches

# those up to here were made before the rules
BASELINE = {"annotation": "0012_late_items_and_sign_in", "training": "0004_gate"}
EXEMPT: dict[tuple[str, str], str] = {  # (app, name): why it may break a rule
    ("annotation", "0031_queue_order_by_reports"): "the table of queues has a few rows, which are checked in a moment"
}


@pytest.fixture(scope="module")
def loader() -> MigrationLoader:
    return MigrationLoader(None, replace_migrations=False)


def since_baseline(loader: MigrationLoader) -> list[tuple[str, str]]:
    return sorted(key for key in loader.disk_migrations if key[0] in BASELINE and key[1] > BASELINE[key[0]])


def test_no_migration_breaks_the_release_before_it(loader: MigrationLoader) -> None:
    found = {
        key: said
        for key in since_baseline(loader)
        if key not in EXEMPT
        and (said := list(breaches(loader.disk_migrations[key], loader.project_state(key, at_end=False))))
    }
    assert found == {}


def test_an_exemption_names_a_migration_that_is_there(loader: MigrationLoader) -> None:
    assert set(EXEMPT) <= set(since_baseline(loader)) and all(EXEMPT.values())


def test_the_one_migration_of_a_new_database_makes_what_the_single_ones_make(loader: MigrationLoader) -> None:
    in_one = MigrationLoader(None)
    assert in_one.graph.nodes.keys() < loader.graph.nodes.keys()
    assert MigrationAutodetector(loader.project_state(), in_one.project_state()).changes(in_one.graph) == {}


@pytest.mark.django_db
def test_a_database_that_has_begun_with_the_single_migrations_goes_on_with_them(loader: MigrationLoader) -> None:
    recorded = MigrationRecorder(connection).migration_qs.filter(app__in=BASELINE)
    recorded.filter(name__contains="squashed").delete()
    for app, newest in BASELINE.items():
        recorded.filter(app=app, name__gt=newest).delete()
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    assert [(migration.app_label, migration.name) for migration, _ in plan] == since_baseline(loader) != []


@pytest.mark.django_db
def test_a_check_changed_quietly_is_enforced_and_its_name_is_kept() -> None:
    with pytest.raises(IntegrityError, match="item_status_is_known"), transaction.atomic():
        make_item(status="lost")  # type: ignore[arg-type]
    make_item(status=ItemStatus.WITHDRAWN)


ITEM = migrations.CreateModel(
    "Item",
    [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=10)),
        ("note", models.TextField(null=True)),
    ],
)
INDEX = models.Index(fields=["name"], name="item_name")


@pytest.mark.parametrize(
    ("operations", "atomic", "why"),
    [
        ([migrations.RemoveField("item", "name")], True, "later release"),
        ([migrations.RenameField("item", "name", "title")], True, "later release"),
        ([migrations.DeleteModel("item")], True, "later release"),
        ([migrations.AddField("item", "size", models.IntegerField(default=0))], True, "db_default"),
        ([migrations.AddField("item", "size", models.IntegerField(db_default=0, db_index=True))], True, "under a lock"),
        ([migrations.AlterField("item", "note", models.TextField(default=""))], True, "may still write nothing"),
        ([migrations.AlterField("item", "name", models.IntegerField())], True, "type changes"),
        ([migrations.AlterField("item", "name", models.CharField(max_length=5))], True, "type changes"),
        ([migrations.AddIndex("item", INDEX)], True, "AddIndexQuietly"),
        ([AddIndexQuietly("item", INDEX)], True, "atomic = False"),
        ([migrations.AddConstraint("item", models.UniqueConstraint(fields=["name"], name="one"))], True, "not valid"),
        (
            [
                migrations.RunPython(migrations.RunPython.noop),
                migrations.AddField("item", "size", models.IntegerField(null=True)),
            ],
            True,
            "rows and schema",
        ),
        ([migrations.RunSQL("SELECT 1")], True, "cannot be checked"),
        ([AddIndexQuietly("item", INDEX)], False, ""),
        ([migrations.AddField("item", "size", models.IntegerField(null=True))], True, ""),
        ([migrations.AddField("item", "size", models.IntegerField(db_default=0))], True, "AddFieldInPlace"),
        ([AddFieldInPlace("item", "size", models.IntegerField(db_default=0))], True, ""),
        ([migrations.AlterField("item", "name", models.CharField(max_length=20, help_text="longer"))], True, ""),
        (
            [
                migrations.CreateModel("Other", [("id", models.BigAutoField(primary_key=True))]),
                migrations.AddIndex("other", models.Index(fields=["id"], name="other_id")),
            ],
            True,
            "",
        ),
    ],
)
def test_the_rules_say_what_breaks(operations: list[Any], atomic: bool, why: str) -> None:
    state = ProjectState()
    ITEM.state_forwards("shop", state)
    migration = type("Change", (migrations.Migration,), {"operations": operations, "atomic": atomic})(
        "0002_change", "shop"
    )
    said = list(breaches(migration, state))
    assert any(why in one for one in said) if why else said == []


@pytest.mark.django_db
def test_the_release_before_can_still_write_all_that_people_and_programs_write(loader: MigrationLoader) -> None:
    """Its models (the state at the baseline) on today's tables."""
    old = loader.project_state(list(BASELINE.items())).apps

    def make(model: str, /, **fields: Any) -> Any:
        return old.get_model("annotation", model).objects.create(**fields)

    with transaction.atomic():
        person = make("User", username="old", password="x")
        queue = make("ReviewQueue", slug="old", name="Old")
        version = make("ModelVersion", name="old", checkpoint="x", status="retired")
        item = make("Item", source="old", external_id="1", modality="text", content_hash="0" * 64, queue=queue)
        prediction = make("Prediction", item=item, version=version, completion="x", parsed=True)
        held = make("Assignment", item=item, queue=queue, reviewer=person, expires_at=item.created_at)
        policy = make("PolicyVersion", policy=make("Policy", slug="old", name="Old"), number=1)
        review = make(
            "Review",
            item=item,
            policy_version=policy,
            reviewer=person,
            assignment=held,
            prediction=prediction,
            idempotency_key="12345678",
            kind="corrected",
            prompt_label="harmful",
            seconds=1.0,
        )
        make(
            "GoldLabel",
            item=item,
            review=review,
            policy_version=policy,
            prompt_label="harmful",
            source="consensus",
            settled_at=item.created_at,
        )
        make("Event", kind="ingested", item=item)
        hook = make("Webhook", name="old", url="https://example.org")
        make("Delivery", webhook=hook, event="item.decided", payload={})
