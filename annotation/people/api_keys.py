"""API keys: shown once on creation, stored as a hash."""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.database.kept_statements import Select
from annotation.errors import ServiceError
from annotation.models import ApiKey, Event, User
from annotation.status import ApiScope, EventKind

# minimum time between two writes of last_used_at
USED_EVERY = timedelta(minutes=1)
SCOPES_OF_REVIEWERS = frozenset({ApiScope.REVIEWS_WRITE})
_BY_PREFIX = Select(lambda prefix: ApiKey.objects.select_related("owner").filter(prefix=prefix))


class ApiKeyNotValid(ServiceError):
    """This API key is unknown, revoked or expired, or its owner may not sign in any more."""


class ScopeNotAllowed(ServiceError):
    """A key may not do more than its owner."""


class KeyOwnerNotActive(ServiceError):
    """The owner of the key may not sign in."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new API key. `secret` is the whole key: it is shown once and cannot be recovered."""

    key: ApiKey
    secret: str


def may(user: User, scope: ApiScope) -> bool:
    """Whether this user may use the scope. Reviewers have SCOPES_OF_REVIEWERS, leads all scopes."""
    return user.is_active and (scope in SCOPES_OF_REVIEWERS or user.is_lead)


def moderation_is_used() -> bool:
    """Whether any unrevoked key may moderate: if so, it is worth loading the guard before the first request."""
    keys = ApiKey.objects.filter(revoked_at__isnull=True).values_list("scopes", flat=True)
    return any(ApiScope.MODERATE.value in scopes for scopes in keys)


def create_key(
    *,
    owner: User,
    name: str,
    scopes: Collection[ApiScope],
    expires_at: datetime | None = None,
    actor: User | None = None,
) -> NewKey:
    """Create a key for `owner`. `actor` is the creator, None for the operator on the command line.

    Raises ScopeNotAllowed, KeyOwnerNotActive.
    """
    if not owner.is_active:
        raise KeyOwnerNotActive
    refused = sorted(scope.value for scope in scopes if not may(owner, scope))
    if refused:
        raise ScopeNotAllowed(
            _("%(owner)s is a %(role)s: a key of theirs may not have %(refused)s.")
            % {"owner": owner.username, "role": owner.role, "refused": ", ".join(refused)}
        )
    prefix, secret = f"gk_{secrets.token_hex(5)}", secrets.token_urlsafe(32)
    with transaction.atomic():
        key = ApiKey.objects.create(
            name=name,
            owner=owner,
            prefix=prefix,
            hashed_secret=_hashed(secret),
            expires_at=expires_at,
            scopes=sorted(scope.value for scope in scopes),
        )
        Event.objects.create(
            kind=EventKind.KEY_CREATED, actor=actor, detail={"key": prefix, "owner": owner.pk, "scopes": key.scopes}
        )
    return NewKey(key, f"{prefix}.{secret}")


def revoke_key(*, key: ApiKey, actor: User | None = None) -> bool:
    """Revoke the key. Returns False if it was revoked already."""
    with transaction.atomic():
        if not ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(revoked_at=timezone.now()):
            return False
        Event.objects.create(kind=EventKind.KEY_REVOKED, actor=actor, detail={"key": key.prefix})
        return True


def open_key(*, secret: str) -> ApiKey:
    """The key, with its owner, for a secret sent by a program.

    Raises ApiKeyNotValid, identical for every cause.
    """
    # such a text cannot even be used in a query
    if not (secret.isascii() and secret.isprintable()):
        raise ApiKeyNotValid
    prefix, _, rest = secret.partition(".")
    now = timezone.now()
    key = _BY_PREFIX.first(prefix=prefix)
    matches = secrets.compare_digest(_hashed(rest), key.hashed_secret if key is not None else _hashed(""))
    if key is None or not matches or not rest:
        raise ApiKeyNotValid
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now) or not key.owner.is_active:
        raise ApiKeyNotValid
    if key.last_used_at is None or key.last_used_at < now - USED_EVERY:
        stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - USED_EVERY)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)
    return key


def _hashed(secret: str) -> str:
    # the secret is 256 random bits: a plain hash is enough, and a slow one would only add cost to each request
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def keys_of(user: User) -> list[ApiKey]:
    """The user's own keys; for leads, all keys."""
    keys = ApiKey.objects.select_related("owner").order_by("revoked_at", "-id")
    return list(keys if user.is_lead else keys.filter(owner=user))
