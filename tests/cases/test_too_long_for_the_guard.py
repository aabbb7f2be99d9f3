"""Content beyond the model's context: it is told so in tokens, and holds nobody else."""

import time

import pytest

from annotation.models import Item
from annotation.predictions.predict import predict_pending
from annotation.predictions.production import production_version
from annotation.status import TOO_LONG, ItemStatus, Lane
from guardapp.guard.engines.hf.hf_engine import HfEngine
from guardapp.guard.protocol import Engine, Order, SampleTooLong
from guardapp.guard.verdict import Rollout, Sample
from guardapp.guard.windows import why_too_long
from tests.annotation.scripted_engine import ScriptedEngine
from tests.factories import make_item, production
from tests.paths import STARTER

NEW_TOKENS = 256
ENDLESS = "a mad text without end " * 8_000
DENSE = {"Chinese": "这是一段很长的文字。" * 1_500, "Hindi": "यह एक बहुत लंबा पाठ है। " * 700, "emoji": "🎈" * 4_000}


@pytest.mark.parametrize("text", [ENDLESS, *DENSE.values()], ids=["English", *DENSE])
def test_the_guard_says_how_long_a_text_is_and_how_long_it_may_be(starter: HfEngine, text: str) -> None:
    error = why_too_long(starter, Sample("long", text), NEW_TOKENS)
    assert error is not None and starter.context is not None
    assert error.limit == starter.context - NEW_TOKENS < error.tokens
    assert f"{error.tokens:,} tokens, it reads at most {error.limit:,}" in str(error)
    assert why_too_long(starter, Sample("short", text[:200]), NEW_TOKENS) is None


def test_an_engine_that_cannot_count_refuses_nothing() -> None:
    engine: Engine = ScriptedEngine()
    assert why_too_long(engine, Sample("long", ENDLESS), NEW_TOKENS) is None


@pytest.mark.django_db
def test_ordinary_items_are_predicted_beside_one_that_is_too_long_and_goes_to_people(starter: HfEngine) -> None:
    production(str(STARTER))
    ordinary = [
        make_item(prompt=f"How do I bake bread {n}?", status=ItemStatus.PENDING, predicted=False) for n in range(3)
    ]
    too_long = make_item(prompt=ENDLESS, status=ItemStatus.PENDING, predicted=False)
    began = time.process_time()
    done = predict_pending(engine=starter, version=production_version(), limit=10)
    assert (done.count, done.failed) == (4, 0)
    assert time.process_time() - began < 120
    too_long.refresh_from_db()
    assert (too_long.status, too_long.error_code) == (ItemStatus.READY, TOO_LONG)
    assert (too_long.prediction, too_long.lane) == (None, Lane.UNCERTAIN)
    assert "tokens, it reads at most 31," in too_long.error_message
    assert {item.status for item in Item.objects.filter(pk__in=[one.pk for one in ordinary])} == {ItemStatus.READY}


def test_a_running_batch_answers_the_others_and_refuses_what_is_too_long(starter: HfEngine) -> None:
    orders = [Order(Sample("a", "How do I bake bread?"), NEW_TOKENS), Order(Sample("b", ENDLESS), NEW_TOKENS)]
    answers = dict(starter.flow(orders, lambda room: ()))
    assert isinstance(answers[0], Rollout) and isinstance(answers[1], SampleTooLong)


def test_a_batch_is_as_large_as_its_tokens_and_not_as_its_characters(starter: HfEngine) -> None:
    engine_batches = starter._batches([Sample(str(n), DENSE["Chinese"][:2_000]) for n in range(32)], 1)
    assert max(map(len, engine_batches)) * 2_000 <= starter.batch_tokens
