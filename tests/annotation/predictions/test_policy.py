"""Guards that judge by the policy in their prompt, and all others."""

import hashlib
import json
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from annotation.media.frames import Evidence
from annotation.models import Prediction
from annotation.predictions.active_policy import policy_for, policy_text
from annotation.predictions.predict import Answer, prediction_row, sample_of
from annotation.status import Role
from guardapp.guard.prompting import chat_messages
from guardapp.guard.verdict import Rollout, Sample, Verdict
from tests.factories import default_policy, make_item, make_user, production
from training.learning.rows import Row, row_from_json

pytestmark = pytest.mark.django_db
GOLDEN = "7994770ee17f8198afaf184ace551b419f64dc740c6ba078e3ebdefaffd064df"


def digest(sample: Sample) -> str:
    return hashlib.sha256(json.dumps(chat_messages(sample), ensure_ascii=True).encode()).hexdigest()


def test_without_a_policy_the_prompt_is_the_same_to_the_byte() -> None:
    item = make_item(prompt="Where do I buy bread?", response="At a bakery.")
    version = production()
    sample = sample_of(item, Evidence((), (), policy_for(version)))
    assert sample.policy_text is None
    assert digest(sample) == digest(Sample("1", "Where do I buy bread?", "At a bakery.")) == GOLDEN


def test_a_guard_that_takes_a_policy_is_given_the_active_one_and_the_prediction_names_it() -> None:
    item, policy, version = make_item(predicted=False), default_policy(), production()
    version.takes_policy = True
    evidence = Evidence((), (), policy_for(version))
    system = chat_messages(sample_of(item, evidence))[0]["content"][0]["text"]
    first = policy.categories.get(position=0)
    assert system.endswith(policy_text(policy)) and f"\n\nPolicy:\n{first.code} {first.name}: " in system
    row = prediction_row(item, version, Answer(Rollout("x", None, 1), (), 5), evidence, None)
    row.save()
    assert Prediction.objects.get().policy_version == policy


def test_a_row_keeps_the_policy_and_one_without_is_written_as_before(tmp_path: Path) -> None:
    plain = Row(Sample("1", "Hi"), Verdict(), "").as_json(tmp_path)
    assert "policy" not in plain and row_from_json(plain, tmp_path).sample.policy_text is None
    given = Row(Sample("1", "Hi", policy_text="No knives."), Verdict(), "").as_json(tmp_path)
    assert given == plain | {"policy": "No knives."}
    read = row_from_json(given, tmp_path)
    assert (read.sample.policy_text, read.extra) == ("No knives.", {})


def test_only_a_lead_says_that_a_version_takes_the_policy(client: Client) -> None:
    version = production()
    url = reverse("training:set_policy", args=[version.pk])
    for user, status, takes in ((make_user(), 403, False), (make_user(Role.LEAD), 302, True)):
        client.force_login(user)
        assert client.post(url, {"takes_policy": "on"}).status_code == status
        version.refresh_from_db()
        assert version.takes_policy is takes
    client.post(url)
    version.refresh_from_db()
    assert version.takes_policy is False
    assert url in client.get(reverse("training:version", args=[version.pk])).text
