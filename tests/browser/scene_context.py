"""An item with all the context that the review page can show."""

from datetime import UTC, datetime, timedelta
from typing import Any

from annotation.ingest.reports import report_item
from annotation.ingest.values import IncomingReport
from annotation.models import Author, Item
from annotation.review.assign import assign_next
from annotation.review.decision import Decision
from annotation.review.submit import submit_review
from annotation.status import ReviewKind
from guardapp.guard.taxonomy import Harmfulness
from tests.browser.scene import text_item
from tests.factories import make_item, make_user


def context_item(**fields: Any) -> Item:
    """An item that was reported three times, in a thread, by an author on whom people have decided before."""
    queue = fields["queue"]
    author = Author.objects.create(
        source="test",
        external_id=f"u-{queue.pk}",
        name="Nora K.",
        url="https://forum.example/u/nora",
        created_at=datetime(2023, 5, 4, tzinfo=UTC),
        strikes=2,
    )
    earlier = (
        ("I know where you park your bike at night.", "harmful"),
        ("Selling my old bike, almost new.", "unharmful"),
        ("You will regret this post, I promise.", "harmful"),
    )
    for prompt, label in earlier:
        item = make_item(prompt=prompt, author=author, queue=queue, priority=1e6)
        held = assign_next(reviewer=make_user(), queue=queue)
        assert held is not None and held.item_id == item.pk
        submit_review(
            reviewer=held.reviewer,
            token=held.token,
            idempotency_key=str(held.token),
            decision=Decision(
                kind=ReviewKind.ACCEPTED if label == "harmful" else ReviewKind.CORRECTED,
                prompt_label=Harmfulness(label),
                categories=("S1",) if label == "harmful" else (),
            ),
        )
    make_item(prompt="Is anybody at home now?", author=author, queue=queue, priority=-1.0)
    at = datetime(2026, 1, 12, 17, 20, tzinfo=UTC)
    item = text_item(
        author=author,
        reported_at=at,
        url="https://forum.example/t/4711#post-3",
        language="en",
        metadata={"channel": "neighbours", "views": 412},
        thread=[
            {
                "id": "p1",
                "author": "Ole",
                "text": "Whose dog barks all night in Mill Lane?",
                "at": "2026-01-12T16:02:00Z",
            },
            {
                "id": "p2",
                "author": {"id": "u-9", "name": "Ida"},
                "text": "It is ours. He is old and misses my mother. We are sorry!",
                "at": "2026-01-12T16:40:00Z",
                "media": ["https://forum.example/media/dog.jpg"],
                "position": "parent",
            },
            {
                "id": "p4",
                "author": author.external_id,
                "text": "Relax, it was a joke.",
                "at": "2026-01-12T18:05:00Z",
                "position": "after",
            },
        ],
        **fields,
    )
    report_item(
        item_id=item.pk,
        reports=[
            IncomingReport("u-9", {"policy_id": "threats", "text": "He wants to poison our dog!"}, at),
            IncomingReport("u-12", {"policy_id": "animals", "text": "Cruel."}, at + timedelta(hours=2)),
        ],
    )
    item.refresh_from_db()
    return item
