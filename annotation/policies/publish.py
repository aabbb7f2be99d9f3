"""Policies: a change creates a new immutable version, and marks affected gold as stale for re-review."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.errors import ServiceError
from annotation.models import (
    Event,
    GoldLabel,
    Item,
    Policy,
    PolicyCategory,
    PolicyVersion,
    User,
)
from annotation.predictions.active_policy import KnownCategory, known_categories
from annotation.queues.reopen import reopen_item
from annotation.status import EventKind, ItemStatus, Lane
from guardapp.guard.taxonomy import RESERVED_CODES

MAX_CATEGORIES = 99


class PolicyNotValid(ServiceError):
    """A field of the policy cannot be taken; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.message = field, message


class PolicyChangedMeanwhile(ServiceError):
    """Somebody published another version of this policy while you were editing. Reload, and make your change on the
    newest one.
    """


@dataclass(frozen=True, slots=True)
class CategoryText:
    code: str
    name: str
    guidance: str


@dataclass(frozen=True, slots=True)
class Changes:
    """The category codes that a new version adds, removes, rewords (its guidance) or only renames."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    reworded: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()

    @property
    def cast_doubt(self) -> tuple[str, ...]:
        """Categories whose existing gold may now be judged differently."""
        return self.removed + self.reworded


def changes_between(old: Sequence[CategoryText], new: Sequence[CategoryText]) -> Changes:
    before, after = {one.code: one for one in old}, {one.code: one for one in new}
    return Changes(
        added=tuple(code for code in after if code not in before),
        removed=tuple(code for code in before if code not in after),
        reworded=tuple(code for code in after if code in before and before[code].guidance != after[code].guidance),
        renamed=tuple(
            code
            for code in after
            if code in before
            and before[code].guidance == after[code].guidance
            and before[code].name != after[code].name
        ),
    )


def categories_of(version: PolicyVersion) -> list[CategoryText]:
    return [CategoryText(row.code, row.name, row.guidance) for row in version.categories.all()]


def publish_version(
    *, policy: Policy, text: str, categories: Sequence[CategoryText], change: str, by: User, based_on: int
) -> PolicyVersion:
    """Publish a new version, effective immediately. Standing gold of reworded and removed categories becomes stale.

    `based_on` is the number of the edited version. Raises PolicyNotValid, PolicyChangedMeanwhile.
    """
    _check(categories, change)
    _check_codes(policy, categories)
    now = timezone.now()
    try:
        with transaction.atomic():
            newest = policy.versions.order_by("-number").first()
            if (newest.number if newest else 0) != based_on:
                raise PolicyChangedMeanwhile
            version = PolicyVersion.objects.create(
                policy=policy,
                number=based_on + 1,
                text=text.strip(),
                change=change.strip(),
                created_by=by,
                created_at=now,
            )
            PolicyCategory.objects.bulk_create(
                PolicyCategory(version=version, code=one.code, name=one.name, guidance=one.guidance, position=position)
                for position, one in enumerate(categories)
            )
            changed = changes_between(categories_of(newest) if newest else [], categories)
            stale = (
                gold_of(changed.cast_doubt).filter(stale_at__isnull=True).update(stale_at=now)
                if changed.cast_doubt
                else 0
            )
            Event.objects.create(
                kind=EventKind.POLICY_CHANGED,
                actor=by,
                at=now,
                detail={
                    "policy": policy.slug,
                    "version": version.number,
                    "added": changed.added,
                    "removed": changed.removed,
                    "reworded": changed.reworded,
                    "renamed": changed.renamed,
                    "stale": stale,
                },
            )
    except IntegrityError:
        raise PolicyChangedMeanwhile from None
    return version


def gold_of(codes: Sequence[str]) -> QuerySet[GoldLabel]:
    """Standing gold with at least one of the categories."""
    named = Q()
    for code in codes:
        named |= Q(codes_text__contains=f'"{code}"')
    ids = GoldLabel.objects.standing().annotate(codes_text=Cast("categories", TextField())).filter(named).values("pk")
    return GoldLabel.objects.filter(pk__in=ids)


def stale_gold() -> QuerySet[GoldLabel]:
    return GoldLabel.objects.standing().filter(stale_at__isnull=False).exclude(item__status=ItemStatus.WITHDRAWN)


def send_to_review(*, gold_ids: Sequence[int], by: User) -> int:
    """Reopen the items of stale gold for another round, by anyone. Returns how many.

    The old gold stands until the new round settles.
    """
    sent, now = 0, timezone.now()
    with transaction.atomic():
        for gold in stale_gold().filter(pk__in=gold_ids).values("item_id"):
            item = Item.objects.select_for_update(of=("self",)).select_related("queue").get(pk=gold["item_id"])
            # already sent, or appealed
            if item.status != ItemStatus.REVIEWED:
                continue
            reopen_item(item=item, lane=Lane.FLAGGED)
            Event.objects.create(
                kind=EventKind.GOLD_STALE, item=item, actor=by, at=now, detail={"sent_to_review": True}
            )
            sent += 1
    return sent


def confirm_gold(*, gold_ids: Sequence[int], by: User) -> int:
    """Confirm that stale gold is still correct under the new policy. Returns how many."""
    now = timezone.now()
    with transaction.atomic():
        golds = list(stale_gold().filter(pk__in=gold_ids))
        GoldLabel.objects.filter(pk__in=[gold.pk for gold in golds]).update(stale_at=None)
        Event.objects.bulk_create(
            [
                Event(kind=EventKind.GOLD_STALE, item_id=gold.item_id, actor=by, at=now, detail={"confirmed": True})
                for gold in golds
            ]
        )
    return len(golds)


def _check(categories: Sequence[CategoryText], change: str) -> None:
    if not change.strip():
        raise PolicyNotValid("change", _("is missing: say what changed and why, for the people who review by it."))
    if not 1 <= len(categories) <= MAX_CATEGORIES:
        raise PolicyNotValid("categories", _("must be 1 to %(most)s.") % {"most": MAX_CATEGORIES})
    codes = [one.code for one in categories]
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if twice:
        raise PolicyNotValid("categories", _("name %(twice)s twice.") % {"twice": twice[0]})
    alike = sorted({code for code in codes if [other.casefold() for other in codes].count(code.casefold()) > 1})
    if alike:
        raise PolicyNotValid(
            "categories",
            _("%(codes)s differ in case only. Give one of them another code.") % {"codes": ", ".join(alike)},
        )
    for one in categories:
        if one.code.casefold() in RESERVED_CODES:
            raise PolicyNotValid(
                "categories",
                _("%(code)s is a word of the guard's own and cannot be a code. Use another, such as %(instead)s.")
                % {"code": one.code, "instead": f"X_{one.code}"[:16]},
            )
        if one.code.isdigit():
            raise PolicyNotValid(
                "categories",
                _("%(code)s is a number, which reasoning names for other reasons. Put a letter before it.")
                % {"code": one.code},
            )
        if not one.code.isascii() or not one.code.replace("_", "").isalnum() or len(one.code) > 16:
            raise PolicyNotValid(
                "categories",
                _("%(code)s is no code: use up to 16 letters, digits and underscores.") % {"code": repr(one.code)},
            )
        if not one.name.strip() or not one.guidance.strip():
            raise PolicyNotValid("categories", _("%(code)s needs a name and a guidance text.") % {"code": one.code})


def _check_codes(policy: Policy, categories: Sequence[CategoryText]) -> None:
    """Refuse to give a category another code, or a retired code another meaning."""
    newest = policy.versions.order_by("-number").first()
    if newest is None:
        return
    known = {one.code: one for one in known_categories(newest)}
    had = {one.code for one in retired_categories(policy)}
    codes = {one.code for one in categories}
    leaving = {
        one.name.strip().casefold(): one.code for one in known.values() if not one.retired and one.code not in codes
    }
    by_case = {code.casefold(): code for code in known}
    for one in categories:
        before = known.get(one.code)
        other = by_case.get(one.code.casefold(), one.code)
        if before is None and other != one.code:
            raise PolicyNotValid(
                "categories",
                _("%(code)s differs in case only from %(other)s, which this policy has or had. Use another code.")
                % {"code": one.code, "other": other},
            )
        if before is None and one.name.strip().casefold() in leaving:
            raise PolicyNotValid(
                "categories",
                _(
                    "%(old)s would become %(code)s. A code is the category's identity and stays, so that earlier "
                    "verdicts keep it: leave the code %(old)s and change its name as you like."
                )
                % {"old": leaving[one.name.strip().casefold()], "code": one.code},
            )
        if before is not None and one.code in had and not _same_meaning(one, before):
            raise PolicyNotValid(
                "categories",
                _(
                    "%(code)s is the retired code of “%(name)s”, and earlier verdicts name it. Bring it back with that "
                    "name and its guidance, or use a new code."
                )
                % {"code": one.code, "name": before.name},
            )


def _same_meaning(one: CategoryText, before: KnownCategory) -> bool:
    """Whether name and guidance are the same but for white space."""
    return (one.name.split(), one.guidance.split()) == (before.name.split(), before.guidance.split())


def retired_categories(policy: Policy) -> tuple[KnownCategory, ...]:
    """The categories that earlier versions of the policy had, which may be brought back."""
    newest = policy.versions.order_by("-number").first()
    if newest is None:
        return ()
    had = set(PolicyCategory.objects.filter(version__policy=policy).values_list("code", flat=True))
    return tuple(one for one in known_categories(newest) if one.retired and one.code in had)


def policies_with_versions() -> list[tuple[Policy, list[PolicyVersion]]]:
    """Every policy with its versions, newest first."""
    policies = Policy.objects.prefetch_related("versions__categories").order_by("name")
    return [(policy, sorted(policy.versions.all(), key=lambda version: -version.number)) for policy in policies]
