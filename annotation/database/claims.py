"""Workers' claims on rows: taken by a conditional update, renewed, given back, and fenced.

A worker that dies leaves its rows claimed; once the claim expires, another worker may take them. The tables in
annotation.models.claims and training.models.claims define how the rows of each model are claimed.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Model, Q, QuerySet

from annotation.database import clock

logger = logging.getLogger(__name__)

# a worker silent for longer is considered hung, and its claim is no longer renewed
LONGEST_HOLD_S = 3_600.0
Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Claims(Generic[Row]):
    """How workers claim the rows of one model.

    `state`, `fence`, `until` and `attempts` are column names. Rows in one of the `open` states may be claimed; a
    claimed row has the state `held` ("" leaves the state unchanged). `fence` is the column of the fencing token, or
    `until` itself, since the end of a claim is exact to the microsecond. A claim lasts for `lasts`, or else for `times`
    GUARDAPP_CLAIM_SECONDS. `size(attempts, limit)` is the number of rows to claim at once, given their attempts so far;
    the default is `limit`. `related` is fetched with the rows.
    """

    model: type[Row]
    state: str = ""
    open: tuple[str, ...] = ()
    held: str = ""
    fence: str = "claim_token"
    until: str = "claimed_until"
    attempts: str = "attempts"
    most_attempts: int = 0
    lasts: timedelta | None = None
    times: int = 1
    size: Callable[[int, int], int] | None = None
    related: tuple[str, ...] = ()

    def free(self, now: datetime | None = None) -> Q:
        """Select unheld rows: never claimed, given back, or with an expired claim."""
        over = Q(**{f"{self.until}__lte": now or clock.now()})
        if self._nullable(self.until):
            over |= Q(**{f"{self.until}__isnull": True})
        if len(self.open) == 1:
            return over & Q(**{self.state: self.open[0]})
        return over & Q(**{f"{self.state}__in": self.open}) if self.open else over

    def run_out(self, now: datetime) -> Q:
        """Select held rows whose worker died or stalled."""
        return Q(**{self.state: self.held, f"{self.until}__lte": now})

    def fresh(self, now: datetime | None = None) -> Q:
        """Select free rows with attempts left."""
        return self.free(now) & Q(**{f"{self.attempts}__lt": self.most_attempts})

    def worn_out(self, now: datetime | None = None) -> Q:
        """Select free rows without attempts left."""
        return self.free(now) & Q(**{f"{self.attempts}__gte": self.most_attempts})

    def take(self, rows: QuerySet[Row], *, limit: int = 1, **also: Any) -> "Claim[Row]":
        """Claim the first of these free rows, in their order, and set `also` on them.

        Skips rows that another worker is claiming.
        """
        now, fence = self._now_and_fence()
        with transaction.atomic():
            ids = self._first(rows.select_for_update(skip_locked=True), limit)
            if not ids:
                return Claim(self, fence, ())
            self._rows.filter(self.free(now), pk__in=ids).update(**self._held(now, fence), **also)
        found = self.fenced(fence).select_related(*self.related).in_bulk(ids)
        return Claim(self, fence, tuple(found[pk] for pk in ids if pk in found))

    def take_row(self, row: Row, **also: Any) -> "Claim[Row] | None":
        """Claim a row that was read before. None if it has been claimed since."""
        now, fence = self._now_and_fence()
        unchanged = self._rows.filter(self.free(now), pk=row.pk, **{self.until: getattr(row, self.until)})
        return Claim(self, fence, (row,)) if unchanged.update(**self._held(now, fence), **also) == 1 else None

    def of(self, row: Row) -> "Claim[Row]":
        """The claim under which the row was read."""
        return Claim(self, getattr(row, self.fence), (row,))

    def clear(self, row: Row, *, until: datetime | None = None) -> None:
        """Remove the claim from a row that the caller saves. The row is not claimed again before `until`."""
        for column in self.columns:
            setattr(row, column, until if column == self.until else None)

    def end(self, now: datetime) -> datetime:
        """When a claim taken or renewed now expires."""
        return now + (self.lasts or timedelta(seconds=self.times * settings.CLAIM_SECONDS))

    @property
    def freed(self) -> dict[str, Any]:
        """The column values of an unclaimed row."""
        return {column: None for column in self.columns if self._nullable(column)}

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.fence, self.until)))

    def fenced(self, fence: UUID | datetime) -> QuerySet[Row]:
        """The rows held under this fence."""
        states = {self.state: self.held or self.open[0]} if self.state else {}
        return self._rows.filter(**{self.fence: fence}, **states)

    @property
    def _rows(self) -> QuerySet[Row]:
        return self.model._default_manager.all()

    def _nullable(self, column: str) -> bool:
        return bool(self.model._meta.get_field(column).null)

    def _now_and_fence(self) -> tuple[datetime, UUID | datetime]:
        now = clock.now()
        return now, self.end(now) if self.fence == self.until else uuid4()

    def _held(self, now: datetime, fence: UUID | datetime) -> dict[str, Any]:
        """The column values of a claimed row."""
        held: dict[str, Any] = {self.until: self.end(now), self.fence: fence}
        if self.held:
            held[self.state] = self.held
        return held | ({self.attempts: F(self.attempts) + 1} if self.attempts else {})

    def _first(self, rows: QuerySet[Row], limit: int) -> list[Any]:
        """The keys of the first rows; with `size`, only of rows with as many attempts as the first."""
        if self.size is not None:
            first = rows.values_list("pk", self.attempts).first()
            if first is None or (limit := self.size(first[1], limit)) == 1:
                return [] if first is None else [first[0]]
            rows = rows.filter(**{self.attempts: first[1]})
        return list(rows.values_list("pk", flat=True)[:limit])


@dataclass(slots=True)
class Claim(Generic[Row]):
    """Rows held by this worker, as they were read. Every claim has its own fence."""

    claims: Claims[Row]
    fence: UUID | datetime
    rows: tuple[Row, ...]

    def held(self, rows: Sequence[Row] | None = None) -> QuerySet[Row]:
        """Select the claimed rows, or the given ones, that are still held, by id."""
        keys = [row.pk for row in (self.rows if rows is None else rows)]
        return self.claims.fenced(self.fence).filter(pk__in=keys).order_by("pk")

    def renew(self) -> int:
        """Extend the claim. Returns how many rows are still held."""
        until = self.claims.end(clock.now())
        renewed = self.held().update(**{self.claims.until: until})
        if self.claims.fence == self.claims.until:
            self.fence = until
        return renewed

    def give_back(self, **also: Any) -> int:
        """End the claim, and set `also`. Returns how many rows were still held."""
        return self.held().update(**self.claims.freed | also)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the claim from a thread while the body runs.

        One answer of a large guard may take longer than a claim lasts.
        """
        done = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(done,), name="claim-keeper", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            done.set()
            keeper.join()

    def _keep(self, done: threading.Event) -> None:
        deadline = time.monotonic() + LONGEST_HOLD_S
        try:
            while not done.wait(settings.CLAIM_SECONDS / 3) and time.monotonic() < deadline:
                try:
                    self.renew()
                except DatabaseError as error:
                    logger.warning("A claim could not be renewed (%s); it is tried again", error)
        finally:
            connection.close()
