"""Reading policies.

A category is its code. Names change freely from version to version, and a category that a version no longer has is
retired: verdicts keep it, and it is shown with its last name.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from annotation.database.kept_statements import Select
from annotation.models import ModelVersion, PolicyCategory, PolicyVersion
from guardapp.guard.taxonomy import DEFAULT_CATEGORIES, DEFAULT_CODES

_NEWEST = Select(
    lambda: PolicyVersion.objects.filter(policy__slug="default").order_by("-number").select_related("policy")[:1]
)


@dataclass(frozen=True, slots=True)
class KnownCategory:
    """A category of the policy, or one that it had before (`retired`), with its newest name and guidance."""

    code: str
    name: str
    guidance: str = ""
    retired: bool = False

    def __str__(self) -> str:
        return self.name if self.name == self.code else f"{self.code} {self.name}"


def active_policy_version() -> PolicyVersion:
    """Return the newest version of the default policy. Raises PolicyVersion.DoesNotExist if setup has not run."""
    newest = _NEWEST.first()
    if newest is None:
        raise PolicyVersion.DoesNotExist
    return newest


def policy_categories(version: PolicyVersion) -> tuple[PolicyCategory, ...]:
    return _categories(version.pk)


@lru_cache(maxsize=64)
def _categories(version_id: int) -> tuple[PolicyCategory, ...]:
    # a policy version is immutable, so it can be cached for the life of the process
    return tuple(PolicyCategory.objects.filter(version_id=version_id))


def known_categories(version: PolicyVersion) -> tuple[KnownCategory, ...]:
    """The version's categories in its order, then the retired ones.

    Retired are those of earlier versions, the most recent first, and the built-in ones that the policy never had: a
    guard may name any of them.
    """
    return _known(version.policy_id, version.number)


@lru_cache(maxsize=64)
def _known(policy_id: int, number: int) -> tuple[KnownCategory, ...]:
    rows = PolicyCategory.objects.filter(version__policy=policy_id, version__number__lte=number)
    found: dict[str, KnownCategory] = {}
    for row in rows.order_by("-version__number", "position").select_related("version"):
        retired = row.version.number != number
        found.setdefault(row.code, KnownCategory(row.code, row.name, row.guidance, retired))
    for built_in in DEFAULT_CATEGORIES:
        found.setdefault(built_in.code, KnownCategory(built_in.code, built_in.name, built_in.guidance, retired=True))
    return tuple(found.values())


def offered_categories(version: PolicyVersion, chosen: Collection[str]) -> tuple[KnownCategory, ...]:
    """The categories to choose from where `chosen` are chosen: those of the version, and the chosen ones that it does
    not have.
    """
    known = known_categories(version)
    codes = {one.code for one in known}
    strangers = tuple(KnownCategory(code, code, retired=True) for code in sorted(set(chosen) - codes))
    return tuple(one for one in known if not one.retired or one.code in chosen) + strangers


def category_names(version: PolicyVersion) -> dict[str, str]:
    """The newest name of each known category, by code."""
    return {one.code: one.name for one in known_categories(version)}


def policy_codes(version: PolicyVersion | None) -> frozenset[str]:
    """Category codes to read from completions of a prompt with this policy version. None (a prompt without a policy)
    means the active version.

    Codes of earlier versions and of the built-in categories are included: a guard keeps naming a category that it
    learned after a lead has removed it from the policy.
    """
    version = version or _NEWEST.first()
    return DEFAULT_CODES if version is None else frozenset(one.code for one in known_categories(version))


def policy_for(guard: ModelVersion) -> PolicyVersion | None:
    """Return the policy to include in the guard's prompt; None for guards that do not use one."""
    return active_policy_version() if guard.takes_policy else None


def policy_text(version: PolicyVersion) -> str:
    """Return the policy as it appears in the prompt: its text, then one line per category."""
    lines = [
        f"{category.code} {category.name}: {' '.join(category.guidance.split())}"
        for category in policy_categories(version)
    ]
    return "\n".join([*([version.text.strip()] if version.text.strip() else []), *lines])
