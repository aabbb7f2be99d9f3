"""The person in whose name a command acts."""

from argparse import ArgumentParser

from django.core.management.base import CommandError

from annotation.models import User
from annotation.status import Role


def add_by(parser: ArgumentParser) -> None:
    parser.add_argument("--by", metavar="USERNAME", help="the lead in whose name it is done (default: the first admin)")


def lead_named(username: str | None) -> User:
    """Return that lead, or the first admin. Raises CommandError."""
    leads = User.objects.filter(is_active=True, role__in=[Role.LEAD, Role.ADMIN])
    if username is None:
        found = leads.filter(role=Role.ADMIN).order_by("id").first() or leads.order_by("id").first()
        if found is None:
            raise CommandError("There is no lead yet. Run manage.py setup first.")
        return found
    found = leads.filter(username=username).first()
    if found is None:
        raise CommandError(f"There is no lead with the username {username!r}.")
    return found
