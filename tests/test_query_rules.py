"""The rules for statements of pages: what is let through and what is named."""

import re

import pytest

from tests.query_rules import breaches

GOOD = (  # [item.id] is "annotation_item"."id"
    "SELECT [item.id], [item.prompt] FROM [item] ORDER BY [item.id] DESC LIMIT 51",
    "SELECT [item.prompt], [item.response] FROM [item] WHERE [item.id] = 7",
    "SELECT [item.id] FROM [item] LIMIT 10001",
    "SELECT COUNT(*) FROM (SELECT [item.id] AS col1 FROM [item] LIMIT 10001) subquery",
    "SELECT COUNT(*) AS __count FROM [review] WHERE [review.item_id] = 7",
    "SELECT [review.id] FROM [review] WHERE ([review.kind] = 'a OFFSET (b' AND [review.item_id] IN (1, 2))",
    "SELECT [queuetally.items] FROM [queuetally]",
    "SELECT LEFT([item.response], 90) AS beginning FROM [item] LIMIT 50",
    "UPDATE [item] SET status = 'ready' WHERE [item.id] = 7",
)
BAD = {
    "OFFSET": "SELECT [item.id] FROM [item] ORDER BY [item.id] LIMIT 50 OFFSET 50",
    "counts all that fits of annotation_item": "SELECT COUNT(*) AS __count FROM [item] WHERE [item.status] = 'ready'",
    "counts all that fits of annotation_review": "SELECT [review.kind], COUNT([review.id]) FROM [review] GROUP "
    "BY [review.kind]",
    "counts all that fits of annotation_event": "SELECT SUM(n) FROM (SELECT COUNT([event.id]) AS n FROM "
    "[event]) subquery",
    "reads annotation_prediction": "SELECT [prediction.id] FROM [prediction] WHERE ([prediction.id] = 1 OR "
    "[prediction.shadow])",
    "reads annotation_assignment": "SELECT [assignment.id] FROM [assignment] WHERE [assignment.item_id] IN "
    "(SELECT [item.id] FROM [item] WHERE [item.lane] = 'audit')",
    "reads 5000 rows": "SELECT [item.id], [item.prompt] FROM [item] LIMIT 5000",
    "carries annotation_prediction.completion": "SELECT [item.id], [prediction.completion] FROM [item] INNER "
    "JOIN [prediction] "
    "ON ([item.prediction_id] = [prediction.id]) LIMIT 51",
    "carries annotation_item.response": "SELECT [item.response] FROM [item] WHERE [item.id] IN (1, 2)",
}


def _quoted(sql: str) -> str:
    return re.sub(
        r"\[(\w+)\.?(\w*)\]", lambda name: f'"annotation_{name[1]}"' + (f'."{name[2]}"' if name[2] else ""), sql
    )


@pytest.mark.parametrize("sql", GOOD)
def test_what_a_page_may_ask_is_let_through(sql: str) -> None:
    assert not list(breaches(_quoted(sql)))


@pytest.mark.parametrize("why", BAD)
def test_what_a_page_may_not_ask_is_named(why: str) -> None:
    assert any(why in one for one in breaches(_quoted(BAD[why])))
