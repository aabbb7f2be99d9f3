"""Signing in, and the limit on attempts."""

from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from annotation.models import SignInAttempt, User
from annotation.people.sign_in_limit import MOST_ATTEMPTS, WINDOW
from tests.factories import make_user

pytestmark = pytest.mark.django_db
PASSWORD = "a long test passphrase"


@pytest.fixture
def user() -> User:
    return make_user()


def attempt(name: str, password: str = "wrong", **extra: Any) -> HttpResponse:
    return Client().post(reverse("login"), {"username": name, "password": password}, **extra)  # type: ignore[return-value]


def exhaust(user: User, **extra: Any) -> None:
    for _ in range(MOST_ATTEMPTS):
        assert attempt(user.username, **extra).status_code == 200


def test_after_five_wrong_passwords_even_the_right_one_has_to_wait(user: User) -> None:
    exhaust(user)
    refused = attempt(user.username, PASSWORD)
    assert refused.status_code == 429
    assert "Too many attempts" in refused.text
    assert f'value="{user.username}"' in refused.text
    SignInAttempt.objects.update(at=timezone.now() - WINDOW - timedelta(seconds=1))
    assert attempt(user.username, PASSWORD)["Location"] == reverse("home")


def test_trying_on_does_not_make_the_wait_longer(user: User) -> None:
    exhaust(user)
    SignInAttempt.objects.update(at=timezone.now() - WINDOW + timedelta(seconds=60))
    assert attempt(user.username).status_code == 429
    SignInAttempt.objects.update(at=timezone.now() - WINDOW - timedelta(seconds=1))
    assert SignInAttempt.objects.count() == MOST_ATTEMPTS
    assert attempt(user.username, PASSWORD).status_code == 302


def test_signing_in_strikes_out_the_attempts_before(user: User) -> None:
    for _ in range(MOST_ATTEMPTS - 1):
        attempt(user.username)
    assert attempt(user.username, PASSWORD).status_code == 302
    assert not SignInAttempt.objects.exists()
    exhaust(user)


def test_another_account_and_another_address_are_not_held_up(user: User) -> None:
    exhaust(user)
    assert attempt(user.username.upper()).status_code == 429  # the same account, whatever its case
    assert attempt(user.username, PASSWORD, REMOTE_ADDR="10.0.0.2").status_code == 302
    assert attempt(make_user().username, PASSWORD).status_code == 302


def test_behind_a_proxy_the_address_is_the_one_that_the_proxy_wrote(user: User, settings: Settings) -> None:
    settings.HTTPS = True
    exhaust(user, HTTP_X_FORWARDED_FOR="1.2.3.4, 10.0.0.9")
    made_up = attempt(user.username, PASSWORD, HTTP_X_FORWARDED_FOR="9.9.9.9, 10.0.0.9")
    assert made_up.status_code == 429  # what the caller wrote there counts nothing
    assert attempt(user.username, PASSWORD, HTTP_X_FORWARDED_FOR="1.2.3.4, 10.0.0.8").status_code == 302


def test_neither_names_nor_addresses_are_kept(user: User) -> None:
    attempt("my secret password")
    assert "secret" not in str(SignInAttempt.objects.values().get())


def test_a_person_who_is_signed_in_goes_home(user: User) -> None:
    client = Client()
    client.force_login(user)
    assert client.get(reverse("login"))["Location"] == reverse("home")
