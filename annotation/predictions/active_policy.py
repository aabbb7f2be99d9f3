"""Reading policies."""

from functools import lru_cache

from annotation.database.kept_statements import Select
from annotation.models import ModelVersion, PolicyCategory, PolicyVersion
from guardapp.guard.taxonomy import DEFAULT_CODES

_NEWEST = Select(
    lambda: PolicyVersion.objects.filter(policy__slug="default").order_by("-number").select_related("policy")[:1]
)


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


def policy_codes(version: PolicyVersion | None) -> frozenset[str]:
    """Category codes to read from completions of a prompt with this policy version. None (a prompt without a policy)
    means the active version.

    Codes of earlier versions and of the built-in categories are included: a guard keeps naming a category that it
    learned after a lead has removed it from the policy.
    """
    version = version or _NEWEST.first()
    return DEFAULT_CODES if version is None else _codes(version.policy_id, version.number)


@lru_cache(maxsize=64)
def _codes(policy_id: int, number: int) -> frozenset[str]:
    until_then = PolicyCategory.objects.filter(version__policy=policy_id, version__number__lte=number)
    return DEFAULT_CODES.union(until_then.values_list("code", flat=True))


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
