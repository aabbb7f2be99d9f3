"""Update the catalogues of every language except the first, and list texts without a translation."""

import os
import sys

import django
from django.conf import settings

from translating.catalogues import DOMAINS, missing, renew


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardapp.settings")
    django.setup()
    left = 0
    for language, name in settings.LANGUAGES[1:]:
        for domain in DOMAINS:
            texts = missing(renew(language, domain))
            left += len(texts)
            for text in texts:
                sys.stdout.write(f"{name}, {domain}: {text}\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
