"""What is shown of a shadow version: where it and production disagree."""

import pytest

from annotation.models import ModelVersion, Prediction, User
from annotation.status import Role
from tests.annotation.scripted_engine import GIBBERISH, HARMFUL, UNHARMFUL, ScriptedEngine
from tests.factories import make_item, make_user, production
from tests.training.rows import make_candidate, make_gold
from tests.training.versions.test_shadow import arrive, follow
from training.versions.shadow import start_shadow
from training.versions.shadow_values import PAGE, disagreements, shadow_summary

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead() -> User:
    return make_user(Role.LEAD)


@pytest.fixture
def candidate() -> ModelVersion:
    return make_candidate(production())


def test_only_disagreements_are_counted_and_listed_with_what_people_settled(
    candidate: ModelVersion, lead: User
) -> None:
    start_shadow(version=candidate, share=1.0, by=lead)
    arrive(4)
    says = {"live 0": UNHARMFUL, "live 1": GIBBERISH, "live 2": HARMFUL, "live 3": HARMFUL}
    follow(ScriptedEngine(lambda sample, draw: says[sample.prompt]))
    summary = shadow_summary(candidate)
    assert (summary.compared, summary.disagreements, summary.agreement, summary.waiting) == (4, 2, 0.5, 0)
    assert [row.shadow.item.prompt for row in disagreements(candidate).rows] == ["live 1", "live 0"]
    assert (summary.shadow_right, summary.production_right) == (0, 0)


@pytest.mark.parametrize(("gold", "expected"), [("unharmful", (1, 0)), ("harmful", (0, 1))])
def test_people_say_who_was_right(candidate: ModelVersion, lead: User, gold: str, expected: tuple[int, int]) -> None:
    settled = make_gold(lead, label=gold)  # production said harmful
    Prediction.objects.create(
        item=settled.item, version=candidate, shadow=True, parsed=True, prompt_label="unharmful", completion="…"
    )
    summary = shadow_summary(candidate)
    assert (summary.shadow_right, summary.production_right) == expected
    [row] = disagreements(candidate).rows
    assert row.gold == settled


def test_a_missing_label_is_a_disagreement_too(candidate: ModelVersion) -> None:
    item = make_item(response="No.")  # production: harmful, response unharmful
    Prediction.objects.create(
        item=item,
        version=candidate,
        shadow=True,
        parsed=True,
        prompt_label="harmful",
        response_label=None,
        completion="…",
    )
    assert shadow_summary(candidate).disagreements == 1


def test_disagreements_are_paged_by_key(candidate: ModelVersion) -> None:
    for _ in range(PAGE + 5):
        Prediction.objects.create(
            item=make_item(), version=candidate, shadow=True, parsed=True, prompt_label="unharmful", completion="…"
        )
    first = disagreements(candidate)
    second = disagreements(candidate, before=first.next_before)
    assert (len(first.rows), len(second.rows), second.next_before) == (PAGE, 5, None)
    assert {row.shadow.pk for row in first.rows}.isdisjoint(row.shadow.pk for row in second.rows)
