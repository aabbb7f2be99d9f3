"""Two installations on one host, at different ports, do not sign each other out."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from tests.factories import make_user
from tests.paths import ROOT

DEFAULTS = {"sessionid", "csrftoken", "django_language", "messages"}


def names(folder: Path, **given: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    code = "import guardapp.settings as s; print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.LANGUAGE_COOKIE_NAME)"
    environment = {**os.environ, "GUARDAPP_DATA": str(folder), **given}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)  # noqa: PLW1510
    return done.stdout.split() if done.returncode == 0 else [done.stderr]


def test_two_installations_have_names_of_their_own_and_each_keeps_them(tmp_path: Path) -> None:
    one, other, again = names(tmp_path / "a"), names(tmp_path / "b"), names(tmp_path / "a")
    assert one == again and len(one) == 3
    assert not set(one) & set(other) and not set(one) & DEFAULTS
    assert all(re.fullmatch(r"guardapp_[0-9a-f]{6}_(session|csrf|language)", name) for name in one + other)


def test_web_processes_with_one_secret_key_agree(tmp_path: Path) -> None:
    key = {"GUARDAPP_SECRET_KEY": "x" * 50}
    assert names(tmp_path / "a", **key) == names(tmp_path / "b", **key)


def test_the_names_can_be_given_and_a_bad_one_is_refused(tmp_path: Path) -> None:
    assert names(tmp_path, GUARDAPP_COOKIES="prod") == ["prod_session", "prod_csrf", "prod_language"]
    assert "GUARDAPP_COOKIES" in names(tmp_path, GUARDAPP_COOKIES="a b;c")[0]


@pytest.mark.django_db
def test_scripts_are_told_the_name_of_the_token_s_cookie(client: Client) -> None:
    client.force_login(make_user())
    answer = client.get(reverse("home"))
    assert f'data-csrf-cookie="{settings.CSRF_COOKIE_NAME}"' in answer.text
    assert not set(client.cookies) & DEFAULTS


@pytest.mark.django_db
def test_a_form_is_taken_with_the_token_of_that_cookie() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user())
    token = client.get(reverse("account")).context["csrf_token"]
    assert client.post(reverse("take_break"), {"csrfmiddlewaretoken": str(token)}).status_code == 302
    assert client.post(reverse("take_break"), {"csrfmiddlewaretoken": "x" * 64}).status_code == 403
