"""An installation in a folder of its own, for tests of backup and restore: everything by the product's own commands."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.paths import ROOT

# changes with each start, or is made anew from the code
LEFT_OUT = ("contenttypes", "auth.permission", "sessions", "django_celery_beat")
FILL = """
import django, sys
django.setup()
from pathlib import Path
from annotation.models import User
from annotation.ingest.store_items import ingest_items
from annotation.ingest.values import IncomingItem, IncomingMedia
from annotation.predictions.predict import predict_pending
from annotation.predictions.production import production_version
from annotation.people.api_keys import create_key
from annotation.status import ApiScope
from django.conf import settings
from tests.annotation.scripted_engine import ScriptedEngine
from PIL import Image
import io
start, count = int(sys.argv[1]), int(sys.argv[2])
for number in range(start, start + count):
    written = io.BytesIO()
    Image.new("RGB", (64, 48), (number % 256, number // 256, 220)).save(written, "PNG")
    media = (IncomingMedia(written.getvalue(), ""),)
    ingest_items(rows=[IncomingItem(f"item-{number}", "test", prompt=f"Is {number} fine?", media=media)])
    print(number, flush=True)
if start == 0:
    predict_pending(engine=ScriptedEngine(), version=production_version(), limit=3)
    lead = User.objects.get(username="lead")
    print(create_key(owner=lead, name="old", scopes=[ApiScope.ITEMS_READ]).secret, flush=True)
    model = Path(settings.MODELS_DIR) / "r1"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
"""
CHECK = """
import django, sys, json, hashlib
django.setup()
from django.conf import settings
from annotation.models import Item, MediaAsset, Prediction
from annotation.people.api_keys import open_key
bad = [asset.path for asset in MediaAsset.objects.filter(items__isnull=False)
       if hashlib.sha256((settings.MEDIA_ROOT / asset.path).read_bytes()).hexdigest() != asset.sha256]
frames = [row["folder"] for seen in Prediction.objects.values_list("media_seen", flat=True) for row in seen]
print(json.dumps({
    "items": Item.objects.count(), "bad": bad, "frames": [(settings.MEDIA_ROOT / one).is_dir() for one in frames],
    "key": open_key(secret=sys.argv[1]).name, "model": (settings.MODELS_DIR / "r1" / "config.json").exists(),
}))
"""


@dataclass
class Site:
    folder: Path
    database: str = ""

    def environment(self) -> dict[str, str]:
        database = {"DATABASE_URL": self.database} if self.database else {}
        inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        return (
            inherited
            | database
            | {"GUARDAPP_DATA": str(self.folder), "OMP_NUM_THREADS": "1", "DJANGO_SETTINGS_MODULE": "guardapp.settings"}
        )

    def manage(self, *command: str, fails: bool = False) -> str:
        done = self.run("manage.py", *command)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )

    def fill(self) -> str:
        """Items with pictures, some predicted, a model and a key, whose secret is returned."""
        self.manage("setup")
        done = self.run("-c", FILL, "0", "5")
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[-1]

    def keep_filling(self, count: int) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", FILL, "100", str(count)],
            cwd=ROOT,
            env=self.environment(),
            text=True,
            stdout=subprocess.PIPE,
        )

    def everything(self) -> Any:
        """All rows, as they are."""
        left_out = [word for name in LEFT_OUT for word in ("--exclude", name)]
        return json.loads(self.run("manage.py", "dumpdata", *left_out).stdout)

    def check(self, key: str) -> dict[str, Any]:
        done = self.run("-c", CHECK, key)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def backed_up_and_restored(site: Site, other: Site, backup: Path) -> None:
    """The whole way: what is restored is what was there, and works."""
    key = site.fill()
    before = site.everything()
    site.manage("backup", str(backup))
    other.manage("restore", str(backup))
    assert other.everything() == before
    assert other.check(key) == {"items": 5, "bad": [], "frames": [True] * 3, "key": "old", "model": True}
    assert "not empty" in other.manage("restore", str(backup), fails=True)
    other.manage("restore", str(backup), "--replace")
    assert other.everything() == before
