"""The initial accounts of a new installation."""

import secrets
from dataclasses import dataclass

from django.db import transaction

from annotation.models import User
from annotation.status import Role

FIRST_ACCOUNTS = (("admin", Role.ADMIN), ("lead", Role.LEAD), ("reviewer", Role.REVIEWER))


@dataclass(frozen=True, slots=True)
class NewAccount:
    """A new account with its password. Shown once, since only the password's hash is stored."""

    username: str
    role: Role
    password: str


def create_first_accounts() -> list[NewAccount]:
    """Create an admin, a lead and a reviewer with generated passwords; none if somebody can sign in already."""
    with transaction.atomic():
        if User.objects.filter(is_active=True).exists():
            return []
        accounts = [NewAccount(username, role, secrets.token_urlsafe(12)) for username, role in FIRST_ACCOUNTS]
        for account in accounts:
            User.objects.create_user(
                account.username,
                password=account.password,
                role=account.role,
                is_staff=account.role == Role.ADMIN,
                is_superuser=account.role == Role.ADMIN,
            )
    return accounts
