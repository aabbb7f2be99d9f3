"""The real `serve_guard` with the scripted guard of the slow worker: `python -m tests.faults.scripted_guard`."""

from django.core.management import call_command

import tests.faults.slow_worker  # noqa: F401  (puts the engine in place)

call_command("serve_guard")
