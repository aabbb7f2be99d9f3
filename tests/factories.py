"""Rows for tests, made through the ORM with readable defaults."""

import itertools
from typing import Any

from annotation.ingest.item_text import write_texts
from annotation.models import (
    Item,
    ModelVersion,
    Policy,
    PolicyCategory,
    PolicyVersion,
    Prediction,
    ReviewerGroup,
    ReviewQueue,
    User,
)
from annotation.status import ItemStatus, Role, VersionStatus
from guardapp.guard.taxonomy import DEFAULT_CATEGORIES

_number = itertools.count(1)


def make_user(role: Role = Role.REVIEWER, **fields: Any) -> User:
    return User.objects.create_user(
        username=f"{role}-{next(_number)}", password="a long test passphrase", role=role, **fields
    )


def default_queue(**fields: Any) -> ReviewQueue:
    queue, _ = ReviewQueue.objects.get_or_create(slug="default", defaults={"name": "Default"})
    for name, value in fields.items():
        setattr(queue, name, value)
    queue.save()
    return queue


def for_members_only(queue: ReviewQueue, *members: User) -> ReviewerGroup:
    """Make the queue one of a new group with these members."""
    group = ReviewerGroup.objects.create(name=f"group-{next(_number)}")
    group.members.set(members)
    ReviewQueue.objects.filter(pk=queue.pk).update(everybody=False)
    queue.everybody = False
    queue.groups.add(group)
    return group


def default_policy() -> PolicyVersion:
    policy, _ = Policy.objects.get_or_create(slug="default", defaults={"name": "Default policy"})
    version, created = PolicyVersion.objects.get_or_create(policy=policy, number=1)
    if created:
        PolicyCategory.objects.bulk_create(
            PolicyCategory(version=version, code=c.code, name=c.name, guidance=c.guidance, position=i)
            for i, c in enumerate(DEFAULT_CATEGORIES)
        )
    return version


def production(checkpoint: str = "nowhere") -> ModelVersion:
    version, _ = ModelVersion.objects.get_or_create(
        status=VersionStatus.PRODUCTION, defaults={"name": "starter", "checkpoint": checkpoint}
    )
    return version


def make_item(
    *,
    prompt: str | None = None,
    response: str | None = None,
    status: ItemStatus = ItemStatus.READY,
    queue: ReviewQueue | None = None,
    prediction: dict[str, Any] | None = None,
    predicted: bool = True,
    **fields: Any,
) -> Item:
    """An item of text with a prediction by production ("harmful" unless `prediction` says otherwise)."""
    number = next(_number)
    queue = queue or default_queue()
    default_policy()
    item = Item.objects.create(
        source="test",
        external_id=f"item-{number}",
        modality=fields.pop("modality", "text"),
        prompt=prompt or f"How do I do thing {number}?",
        response=response,
        status=status,
        queue=queue,
        free_slots=fields.pop("free_slots", queue.reviews_per_item),
        content_hash=f"{number:064x}",
        **fields,
    )
    write_texts([item.pk])
    if predicted:
        values: dict[str, Any] = {
            "parsed": True,
            "steps": ["The user asks for a thing.", "The thing is dangerous (S1)."],
            "prompt_label": "harmful",
            "response_label": None if response is None else "unharmful",
            "categories": ["S1"],
            "completion": "…",
            **(prediction or {}),
        }
        item.prediction = Prediction.objects.create(item=item, version=production(), **values)
        item.save(update_fields=["prediction"])
    return item
