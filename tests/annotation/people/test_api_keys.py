"""API keys: what opens, what does not, and what a key may do."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from rest_framework.test import APIClient

from annotation.models import ApiKey, Event
from annotation.people.api_keys import ApiKeyNotValid, ScopeNotAllowed, create_key, open_key, revoke_key
from annotation.status import ApiScope, EventKind, Role
from tests.annotation.conftest import KeyedClient
from tests.factories import make_user

pytestmark = [pytest.mark.django_db, pytest.mark.urls("annotation.api_urls")]
READ = [ApiScope.ITEMS_READ]


def test_a_key_opens_and_only_its_hash_is_kept() -> None:
    made = create_key(owner=make_user(Role.LEAD), name="pipeline", scopes=READ)
    secret = made.secret.partition(".")[2]
    assert open_key(secret=made.secret).pk == made.key.pk
    assert secret not in str(ApiKey.objects.values().get())


@pytest.mark.parametrize(
    "spoil", ["x", "", ".", "gk_unknown.secret", "{prefix}.", "{prefix}.wrong", "{prefix}", "\udcff.x"]
)
def test_any_other_text_opens_nothing(spoil: str) -> None:
    made = create_key(owner=make_user(Role.LEAD), name="pipeline", scopes=READ)
    with pytest.raises(ApiKeyNotValid):
        open_key(secret=spoil.format(prefix=made.key.prefix))


def test_a_revoked_an_expired_and_an_orphaned_key_open_nothing() -> None:
    lead = make_user(Role.LEAD)
    revoked = create_key(owner=lead, name="a", scopes=READ)
    expired = create_key(owner=lead, name="b", scopes=READ, expires_at=timezone.now() - timedelta(seconds=1))
    orphaned = create_key(owner=make_user(Role.LEAD), name="c", scopes=READ)
    assert revoke_key(key=revoked.key, actor=lead)
    assert not revoke_key(key=revoked.key, actor=lead)
    orphaned.key.owner.is_active = False
    orphaned.key.owner.save(update_fields=["is_active"])
    for made in (revoked, expired, orphaned):
        with pytest.raises(ApiKeyNotValid):
            open_key(secret=made.secret)


def test_a_key_may_not_do_more_than_its_owner() -> None:
    with pytest.raises(ScopeNotAllowed, match="export"):
        create_key(owner=make_user(Role.REVIEWER), name="sly", scopes=[ApiScope.EXPORT, ApiScope.REVIEWS_WRITE])


def test_a_key_loses_what_its_owner_loses(with_key: KeyedClient) -> None:
    lead = make_user(Role.LEAD)
    client = with_key(ApiScope.ITEMS_READ, owner=lead)
    assert client.get("/api/v1/items").status_code == 200
    lead.role = Role.REVIEWER
    lead.save(update_fields=["role"])
    assert client.get("/api/v1/items").status_code == 403


def test_making_and_revoking_a_key_is_on_record() -> None:
    made = create_key(owner=make_user(Role.LEAD), name="pipeline", scopes=READ)
    revoke_key(key=made.key)
    assert list(Event.objects.values_list("kind", flat=True)) == [EventKind.KEY_CREATED, EventKind.KEY_REVOKED]


def test_use_is_noted_at_most_once_a_minute() -> None:
    made = create_key(owner=make_user(Role.LEAD), name="pipeline", scopes=READ)
    open_key(secret=made.secret)
    first = ApiKey.objects.get().last_used_at
    open_key(secret=made.secret)
    assert ApiKey.objects.get().last_used_at == first
    assert first is not None


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer ", "Bearer gk_0.x"])
def test_a_bad_key_is_a_401_that_says_how_to_authenticate(header: str) -> None:
    answer = APIClient(headers={"Authorization": header}).get("/api/v1/items")
    assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_the_command_prints_the_key_once() -> None:
    lead, out = make_user(Role.LEAD), StringIO()
    call_command("create_api_key", lead.username, "items:write", "export", days=30, stdout=out, stderr=StringIO())
    key = open_key(secret=out.getvalue().strip())
    assert (key.owner, key.scopes) == (lead, ["export", "items:write"])
    assert key.expires_at is not None


def test_the_command_names_what_is_wrong() -> None:
    reviewer = make_user(Role.REVIEWER)
    with pytest.raises(CommandError, match="nobody"):
        call_command("create_api_key", "nobody", "export")
    with pytest.raises(CommandError, match="may not have export"):
        call_command("create_api_key", reviewer.username, "export")
