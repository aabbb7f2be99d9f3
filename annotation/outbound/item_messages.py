"""Messages about an item's decision: made, changed or taken back, and the item withdrawn.

An item without a standing decision that gets one is `item.decided`. A decision that takes the place of a standing one,
or leaves the item without one, is `item.decision_changed`. So a receiver that applies the messages of an item in the
order of `sequence` always holds the present decision.
"""

from typing import Any

from annotation.models import Event, GoldLabel, Item
from annotation.outbound.webhooks import announce
from annotation.status import GoldSource, Lane, WebhookEvent


def announce_settled(*, item: Item, gold: GoldLabel, earlier: GoldLabel | None, event: Event) -> None:
    """Announce new gold. `earlier` is the gold whose place it takes; `event` is the audit record of the change.

    The caller holds the lock on the item's row, so the ids of these events grow from message to message.
    """
    if earlier is None:
        about = {**_of(item, event), **decision_of(gold)}
        announce(event=WebhookEvent.DECIDED, item=item, payload=about)
    else:
        announce_changed(item=item, earlier=earlier, present=gold, because=_because(item, gold), event=event)


def announce_changed(*, item: Item, earlier: GoldLabel, present: GoldLabel | None, because: str, event: Event) -> None:
    """Announce that `present` stands instead of `earlier`; None means that the item has no decision any more."""
    before, after = decision_of(earlier), None if present is None else decision_of(present)
    announce(
        event=WebhookEvent.DECISION_CHANGED,
        item=item,
        payload={
            **_of(item, event),
            "because": because,
            "verdict_changed": after is None or any(_sorted(before[name]) != _sorted(after[name]) for name in VERDICT),
            "earlier": before,
            "present": after,
        },
    )


def announce_withdrawn(*, item: Item, reason: str, was: str, standing: GoldLabel | None, event: Event) -> None:
    """Announce that the sender took the item back. `was` is its status before."""
    announce(
        event=WebhookEvent.WITHDRAWN,
        item=item,
        payload={
            **_of(item, event),
            "reason": reason,
            "was": was,
            "decision": None if standing is None else decision_of(standing),
        },
    )


VERDICT = ("prompt_label", "response_label", "categories")


def decision_of(gold: GoldLabel) -> dict[str, Any]:
    return {
        "prompt_label": gold.prompt_label,
        "response_label": gold.response_label,
        "categories": gold.categories,
        "settled_by": gold.source,
        "policy_version": str(gold.policy_version),
    }


def _of(item: Item, event: Event) -> dict[str, Any]:
    return {"item": item.pk, "source": item.source, "external_id": item.external_id, "sequence": event.pk}


def _because(item: Item, gold: GoldLabel) -> str:
    if item.lane == Lane.APPEAL:
        return "appeal"
    return {GoldSource.BULK: "bulk", GoldSource.ADJUDICATED: "adjudication"}.get(GoldSource(gold.source), "review")


def _sorted(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value
