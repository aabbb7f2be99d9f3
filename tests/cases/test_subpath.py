"""Served under a path of the host: every address that the product writes has the path."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from guardapp.subpath import under_path
from tests.made_once import Migrated
from tests.paths import ROOT

ASK = """
import django, json
django.setup(set_prefix=True)
from django.conf import settings
from django.test import Client
from annotation.models import User
from tests.factories import make_item
from guardapp.wsgi import application
from django.core.handlers.wsgi import WSGIHandler
settings.ALLOWED_HOSTS = ["testserver"]
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
item = make_item()
client = Client()
User.objects.create_user("ann", password="a long test passphrase", role="lead")
client.post("/login/", {"username": "ann", "password": "a long test passphrase"})
pages = {}
for path in ("/", "/items/", f"/items/{item.pk}/", "/review/default/", "/training/", "/queues/", "/api/docs", "/account/", "/upload/"):
    answer = client.get(path)
    pages[path] = [answer.status_code, answer.text]
out = client.get("/nowhere-else/", follow=False)
anonymous = Client().get("/items/")
schema = client.get("/api/v1/schema", headers={"Accept": "application/vnd.oai.openapi+json"}).text
print(json.dumps({
    "pages": pages, "login": anonymous.headers["Location"], "schema": schema, "static": settings.STATIC_URL,
    "cookies": [client.cookies[settings.SESSION_COOKIE_NAME]["path"], settings.CSRF_COOKIE_PATH, settings.LANGUAGE_COOKIE_PATH],
}))
"""  # noqa: E501


def asked(folder: Path, path: str) -> Any:
    environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    environment |= {"GUARDAPP_DATA": str(folder), "DJANGO_SETTINGS_MODULE": "guardapp.settings", "GUARDAPP_DEBUG": "1"}
    environment.pop("DATABASE_URL", None)
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=ROOT,
        env={**environment, "GUARDAPP_PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_every_address_in_a_page_the_schema_and_a_cookie_has_the_path(tmp_path: Path, migrated: Migrated) -> None:
    migrated(tmp_path)
    said = asked(tmp_path, "/apps/guard/")
    for address, (status, text) in said["pages"].items():
        assert status == 200, (address, text[-500:])
        written = re.findall(r"""(?:href|src|action|hx-get|hx-post|formaction|data-[\\w-]*url)=["'](/[^"']*)""", text)
        assert written, address
        assert [one for one in written if not one.startswith("/apps/guard/")] == [], address
    assert said["login"].startswith("/apps/guard/login/?next=/apps/guard/items/")
    assert said["static"] == "/apps/guard/static/"
    assert "/apps/guard" in said["schema"] and "servers" in said["schema"]
    assert said["cookies"] == ["/apps/guard/"] * 3


@pytest.mark.parametrize("path", ["guard", "/guard?x", "/a b", "//", "https://host/guard"])
def test_what_is_no_path_is_refused_with_the_name_of_the_setting(path: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import guardapp.settings as s; print(repr(s.URL_PATH))"],
        cwd=ROOT,
        env={**os.environ, "GUARDAPP_DATA": str(tmp_path), "GUARDAPP_PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("GUARDAPP_PATH" in done.stderr) or done.stdout.strip() == "''", done


@pytest.mark.parametrize(
    ("path", "asked", "seen"),
    [
        ("/guard", "/guard/items/", ("/guard", "/items/")),
        ("/guard", "/guard", ("/guard", "/")),
        ("/guard", "/items/", ("/guard", "/items/")),
        ("/guard", "/guardian/", ("/guard", "/guardian/")),
        ("", "/items/", ("", "/items/")),
    ],
)
def test_the_proxy_may_pass_the_path_on_or_strip_it(path: str, asked: str, seen: tuple[str, str]) -> None:
    def application(environ: dict[str, Any], _start: Any) -> Iterable[bytes]:
        return [environ["SCRIPT_NAME"].encode(), environ["PATH_INFO"].encode()]

    told = under_path(application, path)({"SCRIPT_NAME": "", "PATH_INFO": asked}, None)
    assert tuple(part.decode() for part in told) == seen
