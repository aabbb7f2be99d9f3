"""The tables of claims: whatever workers claim has its row, and nothing else writes its columns."""

import re
from collections import Counter
from typing import Any

import pytest
from django.apps import apps
from django.db.models import DateTimeField

from annotation.database.claims import Claims
from annotation.models import claims as of_annotation
from tests.paths import ROOT
from training.models import claims as of_training

TABLE: list[Claims[Any]] = [
    value for module in (of_annotation, of_training) for value in vars(module).values() if isinstance(value, Claims)
]
# names of columns that say when a claim runs out
ENDS = re.compile(r"(^|_)until$|^due_at$")
WRITERS = (
    "annotation/database/claims.py",
    "annotation/models/",
    "training/models/",
    "annotation/migrations/",
    "training/migrations/",
)


def test_every_model_that_workers_claim_has_one_row_of_a_table() -> None:
    claimed = [
        model
        for app in ("annotation", "training")
        for model in apps.get_app_config(app).get_models()
        if any(isinstance(field, DateTimeField) and ENDS.search(field.name) for field in model._meta.get_fields())
    ]
    assert len(claimed) > 5
    assert Counter(claims.model for claims in TABLE) == Counter(claimed)


@pytest.mark.parametrize("claims", TABLE, ids=lambda claims: claims.model.__name__)
def test_a_row_names_columns_and_states_that_are_there(claims: Claims[Any]) -> None:
    for column in filter(None, (claims.fence, claims.until, claims.attempts, claims.state, *claims.related)):
        claims.model._meta.get_field(column)
    assert bool(claims.state) == bool(claims.open)
    if claims.state:
        known = {value for value, _ in claims.model._meta.get_field(claims.state).choices}
        assert {*claims.open, *filter(None, [claims.held])} <= known
    for free in (claims.free(), claims.fresh() if claims.attempts else claims.free()):
        assert claims.model._default_manager.filter(free).query.where


def test_the_columns_of_a_claim_are_named_in_the_tables_only() -> None:
    named = re.compile(r"claim_token=|claimed_until(__\w+)?=|\.claimed_until = |\.claim_token = ")
    elsewhere = [
        str(path.relative_to(ROOT))
        for app in ("annotation", "training")
        for path in (ROOT / app).rglob("*.py")
        if named.search(path.read_text()) and not str(path.relative_to(ROOT)).startswith(WRITERS)
    ]
    assert elsewhere == []
