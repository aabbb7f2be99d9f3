"""The policies that reviewers and guards judge by."""

from django.db import models
from django.utils import timezone

from annotation.models.people import User


class Policy(models.Model):
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=200)

    class Meta:
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return self.name


class PolicyVersion(models.Model):
    """An immutable policy text and its categories. The newest version of a policy is the active one."""

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    text = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    change = models.TextField(blank=True, help_text="what changed and why, for the people who review by it")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["policy", "number"], name="policy_version_number_is_used_once")]

    def __str__(self) -> str:
        return f"{self.policy} v{self.number}"


class PolicyCategory(models.Model):
    version = models.ForeignKey(PolicyVersion, on_delete=models.CASCADE, related_name="categories")
    code = models.CharField(max_length=16)
    name = models.CharField(max_length=100)
    guidance = models.TextField()
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position"]
        verbose_name_plural = "policy categories"
        constraints = [models.UniqueConstraint(fields=["version", "code"], name="category_code_is_used_once_a_version")]

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"
