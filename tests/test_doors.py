"""What has members is a table, and a member without its row fails here or in the test that CONTRIBUTING.md names."""

from dataclasses import fields
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from annotation.insights.sections import SECTIONS
from annotation.insights.table import Insight
from annotation.pages.queue_form import ConditionsForm, QueueForm
from annotation.queues.conditions import CHOICES, NAMES, Conditions
from annotation.status import WebhookEvent
from guardapp.guard.media.sniff import sniff
from guardapp.guard.rl.rewards import REWARDS
from guardapp.guard.taxonomy import MediaKind
from tests.annotation.queues.test_rules import CONDITIONS
from tests.paths import ROOT
from training.recipes.presets import RECIPES


def product_sources() -> str:
    folders = (ROOT / app for app in ("annotation", "training"))
    return "\n".join(path.read_text() for folder in folders for path in sorted(folder.rglob("*.py")))


def test_every_webhook_event_is_announced_and_documented() -> None:
    sources, page = product_sources(), (ROOT / "docs" / "webhooks.md").read_text()
    assert [one.value for one in WebhookEvent if f"event=WebhookEvent.{one.name}" not in sources] == []
    assert [one.value for one in WebhookEvent if f"`{one.value}`" not in page] == []


def test_every_condition_is_tested_asked_in_the_form_and_read_as_words_or_a_number() -> None:
    names = {field.name for field in fields(Conditions)}
    tested = {name for conditions in CONDITIONS for name in conditions}
    assert names - tested == set()
    assert set(ConditionsForm.base_fields) == names
    assert set(CHOICES) <= set(NAMES) <= names


def test_every_field_of_a_queue_s_form_has_its_words() -> None:
    assert [name for name, field in QueueForm.base_fields.items() if not field.label] == []


@pytest.mark.django_db
def test_every_insight_has_its_key_title_and_columns_that_fit_its_rows() -> None:
    since = timezone.now() - timedelta(days=7)
    for section in SECTIONS.values():
        for key, make in section.items():
            insight = make(since)
            assert isinstance(insight, Insight) and insight.key == key and insight.title and insight.about
            assert all(len(row) == len(insight.columns) for row in insight.rows)
            assert {*insight.drawn, *insight.shares} <= set(range(len(insight.columns)))


LANGUAGE_NAMES = {"en": "English", "de": "German"}


def test_every_language_has_its_catalogues_and_its_words_in_the_documentation() -> None:
    page = (ROOT / "docs" / "translating.md").read_text()
    for code, _ in settings.LANGUAGES:
        if code != settings.LANGUAGE_CODE.split("-")[0]:
            catalogues = ROOT / "locale" / code / "LC_MESSAGES"
            assert all((catalogues / f"{domain}.mo").is_file() for domain in ("django", "djangojs"))
        assert LANGUAGE_NAMES[code] in page


def test_every_recipe_and_reward_is_documented() -> None:
    page = (ROOT / "docs" / "training.md").read_text()
    assert [name for name in RECIPES if f"`{name}`" not in page] == []
    assert [name for name in REWARDS if f"`{name}`" not in page] == []


def test_every_medium_is_known_by_its_first_bytes() -> None:
    heads = (b"\x89PNG\r\n\x1a\n" + bytes(24), b"\x00\x00\x00\x18ftypisom" + bytes(24))
    assert {sniff(head)[0] for head in heads} == set(MediaKind)
