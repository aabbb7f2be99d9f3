"""Keys of a person's own. What is not changed keeps its standard key; one key never does two things."""

import re
from collections.abc import Mapping

from annotation.models import User
from annotation.services.errors import ServiceError

# standard key, what it does; the names are those of the browser's KeyboardEvent, with Control+ and Shift+ before them
ACTIONS: tuple[tuple[str, str], ...] = (
    ("a", "Accept verdict and reasoning, and go on"), ("x", "Flip the prompt's label"), ("Shift+X", "Flip the response's label"),
    *((str(number), f"Category {number}; when you adjudicate, side {number}") for number in range(1, 10)),
    ("n", "Submit and next"), (" ", "Skip"), ("e", "Escalate"), ("d", "Decide yourself, when you adjudicate"),
    ("f", "Flag for later"), ("Control+z", "Undo the last decision"),
    ("q", "Mark the step right"), ("w", "Mark the step unsure"), ("r", "Mark the step wrong"), ("j", "Next unmarked step"),
    ("c", "Regenerate from the step"), ("l", "Link the shown frame to the step"), ("k", "Link the selected words to the step"),
    ("o", "Link a region of the frame to the step"),
    (",", "Previous frame"), (".", "Next frame"), ("b", "Blur"), ("g", "Grey"), ("m", "Mute"),
)
STANDARD = tuple(key for key, _ in ACTIONS)
KEY = re.compile(r"[^\s]| |Shift\+[A-Z]|Control\+[a-z]|F[1-9]|F1[0-2]")
TAKEN_BY_THE_PAGE = ("?", "/", "Control+k", "F5")


class KeymapNotValid(ServiceError):
    """A key cannot be used; `field` is the standard key of the action."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def save_keymap(*, user: User, keys: Mapping[str, str]) -> None:
    """`keys` maps standard keys to own ones; "" and the standard key itself mean no change. Raises KeymapNotValid."""
    own = {standard: key for standard, key in keys.items() if standard in STANDARD and key and key != standard}
    words = dict(ACTIONS)
    in_force: dict[str, str] = {}
    for standard in STANDARD:
        key = own.get(standard, standard)
        if not KEY.fullmatch(key):
            raise KeymapNotValid(standard, f"“{key}” is no key. Use one character, Shift+ or Control+ and a letter, or F1 to F12.")
        if key in TAKEN_BY_THE_PAGE:
            raise KeymapNotValid(standard, f"“{key}” is used by the page itself. Choose another key for “{words[standard]}”.")
        if key in in_force:
            raise KeymapNotValid(standard, f"“{key}” would do two things: “{words[in_force[key]]}” and “{words[standard]}”.")
        in_force[key] = standard
    user.keymap = own
    user.save(update_fields=["keymap"])
