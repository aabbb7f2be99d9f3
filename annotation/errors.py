"""What can go wrong in annotation's services. The docstring or the message is what a person reads, in their
language.
"""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

# of a decision, in the words of the review page
FIELDS = {
    "prompt_label": gettext_noop("The prompt's label"),
    "response_label": gettext_noop("The response's label"),
    "categories": gettext_noop("Categories"),
    "severity": gettext_noop("Severity"),
    "confidence": gettext_noop("Confidence"),
    "note": gettext_noop("Note"),
    "reason": gettext_noop("Reason"),
    "steps": gettext_noop("Steps"),
    "kind": gettext_noop("The decision"),
}


def docstring_message(error: type[Exception]) -> str:
    """The docstring of an error as the one line that a person reads."""
    return " ".join((error.__doc__ or "").split())


class ServiceError(Exception):
    """Something could not be done."""

    def __str__(self) -> str:
        return super().__str__() or _(docstring_message(type(self)))


class LeaseExpired(ServiceError):
    """Your hold on this item has run out. Your work is kept as a draft: take the item again to submit it."""


class ItemWithdrawn(LeaseExpired):
    """The sender has withdrawn this item: it needs no decision any more. What you wrote is kept as a draft."""


class AssignmentNotFound(ServiceError):
    """There is no such assignment of yours."""


class DecisionNotValid(ServiceError):
    """A field of the decision cannot be taken; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message

    @property
    def sentence(self) -> str:
        """The error as a sentence that begins with the field's name in the person's language."""
        return f"{_(FIELDS.get(self.field, self.field))} {self.message}"


class IdempotencyKeyReused(ServiceError):
    """This idempotency key was used for another submit. Send a new key with each decision."""


class NothingToUndo(ServiceError):
    """There is nothing of yours that can be undone: only the last ten reviews can, and what you skipped
    or escalated.
    """


class LeftItemGone(ServiceError):
    """The item that you gave back last has gone to somebody else meanwhile, or is settled: it stays where it is, and
    nothing else was undone. Your earlier reviews can be undone on the home page.
    """


class SnapshotUsedIt(ServiceError):
    """A training snapshot has used this review, so it cannot be undone any more."""


class SettledByLead(ServiceError):
    """A lead has settled this item, so your review of it cannot be undone any more."""


class NothingToReveal(ServiceError):
    """This item is not decided first: the guard's judgement is shown from the start, or never."""


class ItemTaken(ServiceError):
    """Somebody else has taken or settled this item meanwhile. Your draft is kept."""


class MediaNotReached(ServiceError):
    """The media store does not answer, so nothing was taken. Send it again in a minute; the operator sees why in the
    log.
    """

    retry_after_s = 30.0


class SideGone(ServiceError):
    """The review whose side you took has been taken back meanwhile. Look at the sides again, then decide."""
