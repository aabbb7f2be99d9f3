"""Personal keyboard shortcuts. Unchanged actions keep their standard key, and no key is assigned twice."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from annotation.errors import ServiceError
from annotation.models import User

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# standard key and its action; names as in the browser's KeyboardEvent, prefixed with Control+ and Shift+
ACTIONS: tuple[tuple[str, "StrOrPromise"], ...] = (
    ("a", _("Accept verdict and reasoning, and go on")),
    ("x", _("Flip the prompt's label")),
    ("Shift+X", _("Flip the response's label")),
    *(
        (str(number), format_lazy(_("Category {number}; when you adjudicate, side {number}"), number=number))
        for number in range(1, 10)
    ),
    ("n", _("Submit and next")),
    (" ", _("Skip")),
    ("e", _("Escalate")),
    ("d", _("Decide yourself, when you adjudicate")),
    ("f", _("Flag for later")),
    ("Control+z", _("Undo the last decision")),
    ("q", _("Mark the step right")),
    ("w", _("Mark the step unsure")),
    ("r", _("Mark the step wrong")),
    ("j", _("Next unmarked step")),
    ("c", _("Regenerate from the step")),
    ("l", _("Link the shown frame to the step")),
    ("k", _("Link the selected words to the step")),
    ("o", _("Link a region of the frame to the step")),
    (",", _("Previous frame")),
    (".", _("Next frame")),
    ("i", _("Show or hide the context")),
    ("b", _("Blur")),
    ("g", _("Grey")),
    ("m", _("Mute")),
    ("v", _("Read the earlier messages")),
)
STANDARD = tuple(key for key, _words in ACTIONS)
KEY = re.compile(r"[^\s]| |Shift\+[A-Z]|Control\+[a-z]|F[1-9]|F1[0-2]")
TAKEN_BY_THE_PAGE = ("?", "/", "Control+k", "F5")


class KeymapNotValid(ServiceError):
    """A key cannot be used; `field` is the standard key of the action."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def save_keymap(*, user: User, keys: Mapping[str, str]) -> None:
    """Save a personal keymap. `keys` maps standard keys to the person's own.

    "" and the standard key itself mean no change. Raises KeymapNotValid.
    """
    own = {standard: key for standard, key in keys.items() if standard in STANDARD and key and key != standard}
    words = dict(ACTIONS)
    in_force: dict[str, str] = {}
    for standard in STANDARD:
        key = own.get(standard, standard)
        if not KEY.fullmatch(key):
            text = _("“%(key)s” is no key. Use one character, Shift+ or Control+ and a letter, or F1 to F12.")
            raise KeymapNotValid(standard, text % {"key": key})
        if key in TAKEN_BY_THE_PAGE:
            text = _("“%(key)s” is used by the page itself. Choose another key for “%(action)s”.")
            raise KeymapNotValid(standard, text % {"key": key, "action": words[standard]})
        if key in in_force:
            text = _("“%(key)s” would do two things: “%(one)s” and “%(other)s”.")
            raise KeymapNotValid(standard, text % {"key": key, "one": words[in_force[key]], "other": words[standard]})
        in_force[key] = standard
    user.keymap = own
    user.save(update_fields=["keymap"])
