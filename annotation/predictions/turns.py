"""Whose turn it is in a worker: items apart get a share of the time while others wait, and all of it else.

Otherwise a few hundred long items would hold everything that came after them.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from annotation.database.claims import Claim
from annotation.models import Item
from annotation.predictions.claims import claim_apart, claim_pending

# seconds for items apart for each second of the others
APART_RATE = 0.25
# saved up before items apart get their turn, and no more is: one long item may take half a minute
CREDIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Predicted:
    """The result of one call: `count` items are ready, `failed` are PREDICTION_FAILED, and the rest are pending.

    `apart` of those turned out to be long, and wait for their turn.
    """

    claimed: int = 0
    count: int = 0
    failed: int = 0
    apart: int = 0

    def __add__(self, more: "Predicted") -> "Predicted":
        return Predicted(
            self.claimed + more.claimed,
            self.count + more.count,
            self.failed + more.failed,
            self.apart + more.apart,
        )


class Turns:
    """Chooses the claims of one process."""

    def __init__(self) -> None:
        self._credit = 0.0
        self._on_credit = False

    def claim(self, limit: int) -> Claim[Item]:
        """Claim the next items, at most `limit`. The claim is empty if nothing is pending."""
        self._on_credit = False
        if self._credit >= CREDIT_S and (apart := claim_apart(limit=1)).rows:
            self._on_credit = True
            return apart
        return claim_pending(limit=limit)

    @contextmanager
    def spent_on(self, claim: Claim[Item]) -> Iterator[None]:
        """Count the time of the context. What nobody waited for costs nothing."""
        began = time.monotonic()
        try:
            yield
        finally:
            seconds = time.monotonic() - began
            if self._on_credit:
                self._credit -= seconds
            elif any(not item.apart for item in claim.rows):
                self._credit = min(CREDIT_S, self._credit + APART_RATE * seconds)


TURNS = Turns()
