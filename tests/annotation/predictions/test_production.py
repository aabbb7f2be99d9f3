"""Which version serves is decided in one place."""

import re

import pytest

from annotation.models import ModelVersion
from annotation.predictions.production import production_or_none, production_version
from annotation.status import VersionStatus
from tests.factories import production
from tests.paths import ROOT

# the filter itself, the first version, and the switch that promotion makes
WRITERS = {
    "annotation/models/guards.py",
    "annotation/predictions/loaded_engine.py",
    "training/versions/promotion.py",
    "training/versions/shadow.py",
}


@pytest.mark.django_db
def test_before_the_first_start_no_version_serves() -> None:
    ModelVersion.objects.create(name="candidate", checkpoint="nowhere")
    ModelVersion.objects.create(name="before", checkpoint="nowhere", status=VersionStatus.RETIRED)
    assert production_or_none() is None
    with pytest.raises(ModelVersion.DoesNotExist):
        production_version()


@pytest.mark.django_db
def test_the_version_in_production_serves() -> None:
    version = production()
    ModelVersion.objects.create(name="candidate", checkpoint="nowhere")
    assert production_version() == production_or_none() == ModelVersion.objects.serving().get() == version
    assert [one.serves for one in ModelVersion.objects.order_by("id")] == [True, False]


def test_nobody_else_filters_versions_by_their_state() -> None:
    state = re.compile(r"VersionStatus\.PRODUCTION|status=[\"']production[\"']")
    sources = [path for app in ("annotation", "training") for path in (ROOT / app).rglob("*.py")]
    found = {str(path.relative_to(ROOT)) for path in sources if state.search(path.read_text())}
    assert {name for name in found if "/migrations/" not in name} == WRITERS
