"""The settings of the object store, and the addresses that follow from them."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from annotation.media import bucket
from guardapp.object_store import parse
from tests.paths import ROOT
from tests.team.s3_server import ACCOUNT

pytestmark = pytest.mark.django_db


def test_the_policy_of_the_pages_names_the_bucket_only_where_there_is_one(tmp_path: Path) -> None:
    show = (
        "from django.conf import settings as s; d = s.CONTENT_SECURITY_POLICY['DIRECTIVES']; print(d['img-src'], "
        "d['media-src'])"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "guardapp.settings", "GUARDAPP_DATA": str(tmp_path)}
    urls = {
        "": "",
        "s3://b/p?endpoint=http://s3:9000&public=https://media.example.org/x": "https://media.example.org",
        "s3://b?region=eu-central-1": "https://b.s3.eu-central-1.amazonaws.com",
    }
    for url, origin in urls.items():
        done = subprocess.run(
            [sys.executable, "-c", show],
            cwd=ROOT,
            env={**environment, "GUARDAPP_MEDIA_URL": url},
            capture_output=True,
            text=True,
            check=True,
        )
        named = f", '{origin}'" if origin else ""
        assert done.stdout.strip() == f"[\"'self'\"{named}, 'data:'] [\"'self'\"{named}]"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://bucket", "is not s3://"),
        ("s3:///prefix", "is not s3://"),
        ("s3://b?endpoint=ftp://x", "is not an http"),
        ("s3://b?endpint=http://x", "is not known"),
        ("s3://b", "needs .region"),
    ],
)
def test_a_setting_that_cannot_be_used_says_why(url: str, why: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=why):
        parse(url)


def test_links_of_amazon_are_of_the_origin_that_the_pages_allow(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    settings.OBJECT_STORE = parse("s3://pictures/guard?region=eu-central-1")
    made = bucket.link("assets/aa/bb", mime="image/png", disposition="inline")
    assert made.startswith(f"{settings.OBJECT_STORE.origin}/guard/assets/aa/bb?")
    assert parse_qs(urlsplit(made).query)["response-content-type"] == ["image/png"]
