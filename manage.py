#!/usr/bin/env python
"""Django's command line for guardapp."""

import os
import sys

from django.core.management import execute_from_command_line

from guardapp.celery import app as celery_app

__all__ = ["celery_app"]

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardapp.settings")
    execute_from_command_line(sys.argv)
