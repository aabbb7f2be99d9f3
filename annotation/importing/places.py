"""What records refer to, in this installation: people, policy versions, queues and guard versions.

Rows that are here already are used; others are made. Nothing that is made can act: people cannot sign in, versions have
no checkpoint, queues are for leads, and a policy that this installation has changed in its own way gets a sibling.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import transaction

from annotation.importing.fields import Fields, RecordNotReadable
from annotation.importing.record import Policy as PolicyName
from annotation.models import (
    BulkDecision,
    ModelVersion,
    Policy,
    PolicyCategory,
    PolicyVersion,
    Review,
    ReviewQueue,
    User,
)
from annotation.policies.publish import CategoryText, categories_of
from annotation.status import Role, VersionStatus

WITHOUT_TEXT = "Named by imported records that did not hold its text."
NO_CHECKPOINT = "Imported with its predictions. It has no checkpoint and cannot serve."


@dataclass(slots=True)
class Places:
    """The rows found or made so far. `fresh`: nobody had reviewed anything here before the import."""

    fresh: bool
    people: dict[str, User] = field(default_factory=dict)
    policies: dict[PolicyName, PolicyVersion] = field(default_factory=dict)
    queues: dict[str, ReviewQueue] = field(default_factory=dict)
    versions: dict[str, ModelVersion] = field(default_factory=dict)
    bulks: dict[tuple[str, int], BulkDecision] = field(default_factory=dict)

    def person(self, pseudonym: str) -> User:
        """The person of this pseudonym: an inactive account without a password if there is none."""
        if pseudonym not in self.people:
            self.people[pseudonym] = User.objects.filter(pseudonym=pseudonym).first() or _placeholder(pseudonym)
        return self.people[pseudonym]

    def policy(self, named: PolicyName) -> PolicyVersion:
        if named not in self.policies:
            self.policies[named] = _version_named(named)
        return self.policies[named]

    def queue(self, slug: str, name: str = "") -> ReviewQueue:
        if slug not in self.queues:
            values = {"name": name[:100] or slug, "everybody": False}
            self.queues[slug] = ReviewQueue.objects.get_or_create(slug=slug, defaults=values)[0]
        return self.queues[slug]

    def version(self, name: str, description: str = NO_CHECKPOINT) -> ModelVersion:
        if name not in self.versions:
            values = {"checkpoint": "", "status": VersionStatus.RETIRED, "description": description}
            self.versions[name] = ModelVersion.objects.get_or_create(name=name, defaults=values)[0]
        return self.versions[name]

    def forget_rows(self) -> None:
        """After a savepoint that was rolled back: rows that it made are gone, and are found or made anew.

        Policies stay: they were made in savepoints of their own.
        """
        for rows in (self.people, self.queues, self.versions, self.bulks):
            rows.clear()


def new_places() -> Places:
    return Places(fresh=not Review.objects.exists())


def place_definitions(places: Places, given: dict[str, Any]) -> None:
    """Make what an export defines. Raises RecordNotReadable, and then nothing is made."""
    definitions = Fields.of(given, "/definitions")
    try:
        _place(places, definitions)
    except RecordNotReadable:
        places.policies.clear()
        places.forget_rows()
        raise


def _place(places: Places, definitions: Fields) -> None:
    with transaction.atomic():
        for policy in definitions.each("policies"):
            _place_policy(places, policy)
        for queue in definitions.each("queues"):
            places.queue(queue.text("slug", 50, empty=False), queue.text("name", 100, default=""))
        for version in definitions.each("versions"):
            description = version.text("description", 300, default="")
            places.version(version.text("name", 100, empty=False), description=description)


def _place_policy(places: Places, policy: Fields) -> None:
    """Match the policy's versions with those here, or make them.

    Where the versions here are the first ones of the export, such as in a new installation, the others follow. Else the
    export's policy is another one than this installation's, and must not become the one that people review by.
    """
    slug, name = policy.text("slug", 50, empty=False), policy.text("name", 200, empty=False)
    given = [(one, _text_of(one)) for one in policy.each("versions")]
    here = list(PolicyVersion.objects.filter(policy__slug=slug).order_by("number"))
    texts = {mine.number: _stored_text(mine) for mine in here}
    alike = list(texts.values()) == [text for _, text in given[: len(here)]]
    if all(texts.get(one.whole("number", 1)) == text for one, text in given):
        places.policies |= {(slug, mine.number): mine for mine in here}
    elif alike and (places.fresh or not here):
        row = Policy.objects.get_or_create(slug=slug, defaults={"name": name})[0]
        for place, (one, _) in enumerate(given):
            made = here[place] if place < len(here) else _make_version(places, row, one)
            places.policies[slug, one.whole("number", 1)] = made
    else:
        _place_beside(places, slug, name, given)
    if places.fresh:
        _adopt(places, slug, name, policy)


def _place_beside(places: Places, slug: str, name: str, given: list[tuple[Fields, str]]) -> None:
    """Make a policy of its own, named by its contents, so that the same export finds it again."""
    mark = hashlib.sha256("\x1e".join(text for _, text in given).encode()).hexdigest()[:8]
    row, made = Policy.objects.get_or_create(
        slug=f"{slug[:30]}-imported-{mark}", defaults={"name": f"{name[:180]} (imported)"}
    )
    for one, _ in given:
        number = one.whole("number", 1)
        version = row.versions.filter(number=number).first() if not made else None
        places.policies[slug, number] = version or _make_version(places, row, one)


def _adopt(places: Places, slug: str, name: str, policy: Fields) -> None:
    """In a new installation, versions that both have are those of the export: its times, people and words count."""
    for one in policy.each("versions"):
        mine = places.policies[slug, one.whole("number", 1)]
        by = one.text_or_none("created_by", 32)
        PolicyVersion.objects.filter(pk=mine.pk, policy__slug=slug).update(
            created_at=one.moment("created_at"),
            created_by=places.person(by) if by else None,
            change=one.text("change", default=""),
        )
    Policy.objects.filter(slug=slug).update(name=name)


def _make_version(places: Places, policy: Policy, one: Fields) -> PolicyVersion:
    by = one.text_or_none("created_by", 32)
    version = PolicyVersion.objects.create(
        policy=policy,
        number=one.whole("number", 1),
        text=one.text("text", default=""),
        change=one.text("change", default=""),
        created_at=one.moment("created_at"),
        created_by=places.person(by) if by else None,
    )
    PolicyCategory.objects.bulk_create(
        PolicyCategory(version=version, position=position, code=row.code, name=row.name, guidance=row.guidance)
        for position, row in enumerate(_categories(one))
    )
    return version


def _version_named(named: PolicyName) -> PolicyVersion:
    """The version of an export that defined none: the one here, else one without text, which nobody reviews by."""
    slug, number = named
    here = PolicyVersion.objects.filter(policy__slug=slug, number=number).first()
    if here is not None:
        return here
    policy = Policy.objects.get_or_create(slug=f"{slug[:41]}-imported", defaults={"name": f"{slug} (imported)"})[0]
    return PolicyVersion.objects.get_or_create(policy=policy, number=number, defaults={"change": WITHOUT_TEXT})[0]


def _categories(one: Fields) -> list[CategoryText]:
    rows = [
        CategoryText(row.text("code", 16, empty=False), row.text("name", 100), row.text("guidance", default=""))
        for row in one.each("categories")
    ]
    codes = [row.code for row in rows]
    if len(set(codes)) != len(codes):
        raise one.wrong("categories", "has a code twice.")
    return rows


def _text_of(one: Fields) -> str:
    return _written(one.text("text", default=""), _categories(one))


def _stored_text(version: PolicyVersion) -> str:
    return _written(version.text, categories_of(version))


def _written(text: str, categories: list[CategoryText]) -> str:
    return "\x1f".join([text, *(part for one in categories for part in (one.code, one.name, one.guidance))])


def _placeholder(pseudonym: str) -> User:
    username = f"imported-{pseudonym}"
    if User.objects.filter(username=username).exists():
        username = f"{username}-{hashlib.sha256(pseudonym.encode()).hexdigest()[:8]}"
    return User.objects.create(
        username=username,
        pseudonym=pseudonym,
        role=Role.REVIEWER,
        is_active=False,
        password=make_password(None),
    )
