"""`manage.py create_api_key OWNER SCOPE…`: create an API key for a program, and print it once."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from annotation.errors import ServiceError
from annotation.models import User
from annotation.people.api_keys import create_key
from annotation.status import ApiScope


class Command(BaseCommand):
    help = "Create an API key. It is printed once, as the last line, and cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("owner", help="username of the person in whose name the key acts")
        parser.add_argument(
            "scopes", nargs="+", choices=ApiScope.values, metavar="scope", help=", ".join(ApiScope.values)
        )
        parser.add_argument("--name", default="made on the command line")
        parser.add_argument("--days", type=int, help="days until it expires (default: never)")

    def handle(self, *args: Any, owner: str, scopes: list[str], name: str, days: int | None, **options: Any) -> None:
        try:
            person = User.objects.get(username=owner)
        except User.DoesNotExist:
            raise CommandError(f"There is nobody with the username {owner!r}.") from None
        expires_at = None if days is None else timezone.now() + timedelta(days=days)
        try:
            made = create_key(
                owner=person, name=name, scopes=[ApiScope(scope) for scope in scopes], expires_at=expires_at
            )
        except ServiceError as error:
            raise CommandError(str(error)) from error
        self.stderr.write(f"Key {made.key.prefix} of {person.username}: {', '.join(made.key.scopes)}.")
        self.stdout.write(made.secret)
