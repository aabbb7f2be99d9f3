"""`python -m tests.faults.team_seed WEBHOOK_URL`: migrate, and make who acts in the fault tests. Prints their keys as
JSON.
"""

import json
import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardapp.settings")
django.setup()

from django.conf import settings  # noqa: E402  (Django must be set up first)
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402

from annotation.models import Webhook  # noqa: E402
from annotation.people.api_keys import create_key  # noqa: E402
from annotation.status import ApiScope, Role, WebhookEvent  # noqa: E402
from tests.factories import default_policy, default_queue, make_user, production  # noqa: E402

call_command("migrate", verbosity=0)
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
default_queue()
default_policy()
production("starter")
lead, reviewers = make_user(Role.LEAD), [make_user(Role.REVIEWER) for _ in range(2)]
Webhook.objects.create(name="everything", url=sys.argv[1], events=[WebhookEvent.DECIDED.value])
browser = Client()
browser.force_login(lead)
print(
    json.dumps(
        {
            "ingest": create_key(
                owner=lead, name="ingest", scopes=[ApiScope.ITEMS_WRITE, ApiScope.ITEMS_READ, ApiScope.MODERATE]
            ).secret,
            "reviewers": [
                create_key(owner=one, name="reviews", scopes=[ApiScope.REVIEWS_WRITE]).secret for one in reviewers
            ],
            "session": f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}",
        }
    )
)
