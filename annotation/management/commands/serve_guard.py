"""`manage.py serve_guard`: run the guard process for the moderation endpoints."""

import signal
import threading
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.moderation.guard_process import Guarding
from annotation.moderation.guard_server import GuardServer
from annotation.people.api_keys import moderation_is_used
from guardapp.tracing import start_tracing


class Command(BaseCommand):
    help = (
        "Answer the web's moderation requests. The guard is loaded at the first one, or at once where there "
        "are keys for it."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--bind", default="", help="host:port on a private network (default: a unix socket in the data folder)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        host, _, port = options["bind"].rpartition(":")
        if options["bind"] and not (host and port.isdecimal()):
            raise CommandError(f"--bind {options['bind']!r} is not host:port.")
        address = (host, int(port)) if options["bind"] else settings.GUARD_SOCKET
        start_tracing("guard")
        guarding = Guarding(workers=settings.SERVING_WORKERS)
        with GuardServer(address, guarding) as server:

            def request_stop(number: int, frame: FrameType | None) -> None:
                # in another thread, because shutdown() waits for serve_forever(), which runs in this one
                threading.Thread(target=server.shutdown).start()

            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, request_stop)
            if moderation_is_used():
                threading.Thread(target=guarding.preload, name="preload", daemon=True).start()
            self.stdout.write(f"the guard answers at {options['bind'] or address}")
            server.serve_forever(poll_interval=0.2)
        guarding.stop()
