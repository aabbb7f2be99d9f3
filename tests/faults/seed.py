"""`python -m tests.faults.seed COUNT [shadow]`: migrate the database of the environment and put pending items in it.

With `shadow` a candidate shadows all of them.
"""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardapp.settings")
django.setup()

from django.core.management import call_command  # noqa: E402  (Django must be set up first)

from annotation.models import ModelVersion  # noqa: E402
from annotation.status import ItemStatus  # noqa: E402
from tests.factories import make_item, production  # noqa: E402

call_command("migrate", verbosity=0)
production()
if sys.argv[2:] == ["shadow"]:
    ModelVersion.objects.create(name="candidate", checkpoint="nowhere", parent=production(), shadow_share=1.0)
for number in range(int(sys.argv[1])):
    make_item(status=ItemStatus.PENDING, predicted=False, prompt=f"prompt {number}")
