"""A limit on sign-in attempts per account and address: it slows password guessing and locks out nobody else.

An attempt is recorded before the password is checked, so parallel attempts gain nothing. It is deleted if it succeeds.
The count is in the database, so all web processes share it.
"""

import hashlib
from datetime import timedelta

from django.utils import timezone

from annotation.errors import ServiceError
from annotation.models import SignInAttempt

MOST_ATTEMPTS = 5
WINDOW = timedelta(minutes=15)


class TooManyAttempts(ServiceError):
    """Too many attempts to sign in. Wait a quarter of an hour, then try again."""


def begin_attempt(*, account: str, address: str) -> None:
    """Record an attempt. Raises TooManyAttempts, even for the right password."""
    now, key = timezone.now(), _key(account, address)
    SignInAttempt.objects.filter(at__lt=now - WINDOW).delete()
    attempt = SignInAttempt.objects.create(key=key, at=now)
    if SignInAttempt.objects.filter(key=key).count() > MOST_ATTEMPTS:
        # refused attempts do not extend the wait
        attempt.delete()
        raise TooManyAttempts


def attempt_succeeded(*, account: str, address: str) -> None:
    SignInAttempt.objects.filter(key=_key(account, address)).delete()


def _key(account: str, address: str) -> str:
    """A digest, because a password may be typed as the account name and must not be stored in plain text."""
    return hashlib.sha256(f"{account.strip().casefold()}\n{address}".encode()).hexdigest()
