"""What every test gets: fast password hashes, a data folder of its own, and static files as they are in the source. And
their order.
"""

import shutil
from importlib import import_module
from pathlib import Path

import hypothesis
import pytest
from django.apps import apps
from django.db import connection
from pytest_django import DjangoDbBlocker, Settings

from annotation.predictions import active_policy, calibration
from guardapp.celery import app as celery_app
from guardapp.guard.protocol import Engine
from tests.cpu_time import CpuTime
from tests.made_once import Migrated, made_once, migrate, migrated_database, one_at_a_time
from tests.paths import ROOT, STARTER

__all__ = ["celery_app"]

# a file in one of these cannot forget its mark
MARK_OF_FOLDER = {"browser": "browser", "faults": "faults", "gpu": "gpu", "vllm": "vllm"}


# how fast this machine is says nothing about the code
hypothesis.settings.register_profile("suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(CpuTime(), "cpu_time")


def pytest_itemcollected(item: pytest.Item) -> None:
    mark = MARK_OF_FOLDER.get(item.path.relative_to(ROOT / "tests").parts[0])
    if mark is not None:
        item.add_marker(mark)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, so that processes which share them end together. Those on Django's test database keep
    pytest-django's order.
    """
    items.sort(
        key=lambda item: item.get_closest_marker("slow") is None or item.get_closest_marker("django_db") is not None
    )


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """pytest-django then takes the file that it finds, instead of migrating an empty one."""
    return connection.vendor == "sqlite"


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_modify_db_settings: None,
    django_db_blocker: DjangoDbBlocker,
) -> None:
    """The first worker migrates its test database, the others begin with a copy."""
    if connection.vendor != "sqlite":
        request.getfixturevalue("django_db_setup")
        return
    name, migrated = tmp_path_factory.getbasetemp() / "test.sqlite3", migrated_database(tmp_path_factory)
    connection.settings_dict["TEST"]["NAME"] = name
    with one_at_a_time(migrated):
        if migrated.exists():
            shutil.copy(migrated, name)
        request.getfixturevalue("django_db_setup")
        # pytest-django makes no test database where none of the collected tests needs one
        if name.exists() and not migrated.exists():
            with django_db_blocker.unblock(), connection.cursor() as cursor:
                cursor.execute("VACUUM INTO %s", [str(migrated)])


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Migrated:
    """Puts a migrated SQLite database into a data folder, for tests about what happens in an installation later."""
    database = migrated_database(tmp_path_factory)

    def put(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(database):
            if not database.exists():
                migrate(database)
        shutil.copy(database, folder / "guardapp.sqlite3")

    return put


# torch takes seconds to import: only tests that ask for one of these two pay for it
@pytest.fixture(scope="session")
def starter() -> Engine:
    """The guard that ships with the product, on one thread of the CPU: loaded once a worker."""
    from guardapp.guard.engines.hf.hf_engine import HfEngine

    return HfEngine(str(STARTER), device="cpu", threads=1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint of under a million parameters, made once a run."""
    from tests.guard.tiny_checkpoint import build_checkpoint

    return made_once(tmp_path_factory, "tiny", build_checkpoint)


@pytest.fixture(autouse=True)
def quick_and_private(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.FRAMES_DIR = settings.MEDIA_ROOT / "frames"
    settings.MODELS_DIR = tmp_path / "models"
    settings.RUNS_DIR = tmp_path / "runs"
    settings.SNAPSHOTS_DIR = tmp_path / "snapshots"
    settings.EXPORTS_DIR = tmp_path / "exports"
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATIC_ROOT.mkdir()
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    # no test's pages have a broker beside them
    monkeypatch.setattr("annotation.operations.troubles.current_troubles", lambda: ())


@pytest.fixture(autouse=True)
def no_kept_rows_of_another_test() -> None:
    """Policy versions and calibrations are immutable, so processes keep them; another test's may have the same id."""
    active_policy._categories.cache_clear()
    active_policy._known.cache_clear()
    calibration._calibrators.cache_clear()
    calibration.words_for.cache_clear()


@pytest.fixture(autouse=True)
def rows_of_the_migrations(request: pytest.FixtureRequest) -> None:
    """A test with real transactions empties all tables at its end. pytest-django runs those last, but a worker that has
    done its own takes tests from another: what the migrations wrote may be gone by then."""
    marker = request.node.get_closest_marker("django_db")
    if marker is None or marker.kwargs.get("transaction"):
        return
    request.getfixturevalue("db")
    if not apps.get_model("annotation", "ReviewQueue").objects.exists():
        import_module("annotation.migrations.0002_default_queue_and_policy").create_defaults(apps, None)
