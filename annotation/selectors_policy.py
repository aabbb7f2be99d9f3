"""Reading policies."""

from functools import lru_cache

from annotation.models import PolicyCategory, PolicyVersion


def active_policy_version() -> PolicyVersion:
    """The newest version of the default policy. Raises PolicyVersion.DoesNotExist where setup has not run."""
    return PolicyVersion.objects.filter(policy__slug="default").order_by("-number").select_related("policy")[:1].get()


def policy_categories(version: PolicyVersion) -> tuple[PolicyCategory, ...]:
    return _categories(version.pk)


@lru_cache(maxsize=64)
def _categories(version_id: int) -> tuple[PolicyCategory, ...]:
    # a policy version is immutable, so this can be kept for the life of the process
    return tuple(PolicyCategory.objects.filter(version_id=version_id))
