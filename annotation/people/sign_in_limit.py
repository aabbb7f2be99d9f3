"""A limit on attempts to sign in, for each account from each address: guessing passwords is slow, and nobody else is
locked out.

An attempt is recorded before the password is checked, so that many at the same moment gain nothing. It is struck
out when it succeeds. The database holds the count: every web process sees the same one.
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
    """Raises TooManyAttempts, for the right password too."""
    now, key = timezone.now(), _key(account, address)
    SignInAttempt.objects.filter(at__lt=now - WINDOW).delete()
    attempt = SignInAttempt.objects.create(key=key, at=now)
    if SignInAttempt.objects.filter(key=key).count() > MOST_ATTEMPTS:
        attempt.delete()  # trying on does not make the wait longer
        raise TooManyAttempts


def attempt_succeeded(*, account: str, address: str) -> None:
    SignInAttempt.objects.filter(key=_key(account, address)).delete()


def _key(account: str, address: str) -> str:
    """What is typed as a name may be a password: it is not kept as it is."""
    return hashlib.sha256(f"{account.strip().casefold()}\n{address}".encode()).hexdigest()
