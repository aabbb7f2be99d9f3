"""Senders and reviewers over HTTP who, as the API's document tells them, send the same again until they have an
answer.
"""

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.faults.servers import until
from tests.faults.stack import Answer, Stack

CORRECTED = {"kind": "corrected", "prompt_label": "unharmful"}
LONGEST_PAUSE_S = 0.5  # what the server asks for is cut short: tests are impatient


@dataclass(frozen=True, slots=True)
class Census:
    """What the database holds of one source, and the most of it that one item has."""

    items: int
    by_status: dict[str, int]
    predictions: int
    most_predictions: int
    reviews: int
    most_reviews: int
    decisions: int
    most_decisions: int
    messages: int
    most_messages: int
    delivered: int
    events: dict[str, int]

    @classmethod
    def of(cls, stack: Stack, source: str) -> "Census":
        mine = f"SELECT id FROM annotation_item WHERE source = '{source}'"

        def rows(table: str, item: str = "item_id", where: str = "true") -> tuple[int, int]:
            counts = [
                count
                for (count,) in stack.site.rows(
                    f"SELECT count(*) FROM {table} WHERE {item} IN ({mine}) AND {where} GROUP BY {item}"
                )
            ]
            return sum(counts), max(counts, default=0)

        by_status = dict(
            stack.site.rows(f"SELECT status, count(*) FROM annotation_item WHERE source = '{source}' GROUP BY status")
        )
        told = rows("annotation_delivery", "(payload->>'item')::bigint")
        delivered = rows("annotation_delivery", "(payload->>'item')::bigint", "state = 'delivered'")[0]
        events = dict(
            stack.site.rows(f"SELECT kind, count(*) FROM annotation_event WHERE item_id IN ({mine}) GROUP BY kind")
        )
        return cls(
            sum(by_status.values()),
            by_status,
            *rows("annotation_prediction"),
            *rows("annotation_review"),
            *rows("annotation_goldlabel"),
            *told,
            delivered,
            events,
        )


@dataclass
class Traffic:
    """`items` of one source, `batch` a request and `pace` seconds apart; every one is reviewed once. Context: from
    start to drained.
    """

    stack: Stack
    source: str
    items: int = 24
    batch: int = 3
    pace: float = 0.25
    seconds: float = 90.0
    answers: Counter[int] = field(default_factory=Counter)  # by status; 0: none came
    problems: Counter[str] = field(default_factory=Counter)  # kinds that 5xx answers named
    reviews: set[int] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    slowest: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> "Traffic":
        self._done = threading.Event()
        self.before = self.census()
        self._threads = [
            threading.Thread(target=self._send),
            *(threading.Thread(target=self._review, args=(key,)) for key in self.stack.people["reviewers"]),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        try:
            if problem[0] is None:
                until(self.drained, self.seconds, f"{self.source} is drained")
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.census()}; answers {self.answers}, errors {self.errors}") from None
        finally:
            self._done.set()
            for thread in self._threads:
                thread.join()

    def census(self) -> Census:
        return Census.of(self.stack, self.source)

    def drained(self) -> bool:
        """All is told outside, and every reviewer has heard that their review is stored."""
        return (
            not self._threads[0].is_alive()
            and self.census().delivered >= self.items
            and self._stored_reviews() <= self.reviews
        )

    def _stored_reviews(self) -> set[int]:
        return {
            review
            for (review,) in self.stack.site.rows(
                "SELECT r.id FROM annotation_review r JOIN annotation_item i ON i.id = r.item_id WHERE i.source = "
                f"'{self.source}'"
            )
        }

    def check(self, *, patience: float = 15) -> Census:
        """Everything is there, once; nobody waited longer than `patience` seconds; nobody saw an error that names no
        cause.
        """
        after = self.census()
        assert self.errors == []
        assert self.before.items == 0 and after.by_status == {"reviewed": self.items}
        assert (after.predictions, after.most_predictions) == (self.items, 1)
        assert (after.reviews, after.most_reviews) == (self.items, 1)
        assert (after.decisions, after.most_decisions) == (self.items, 1)
        assert (after.messages, after.most_messages, after.delivered) == (self.items, 1, self.items)
        assert all(after.events[kind] == self.items for kind in ("ingested", "predicted", "reviewed", "gold_settled"))
        told = self.stack.site.rows(
            "SELECT message FROM annotation_delivery WHERE (payload->>'item')::bigint IN "
            f"(SELECT id FROM annotation_item WHERE source = '{self.source}')"
        )
        assert all(self.stack.receiver.got[str(message)] >= 1 for (message,) in told), (
            "a message is marked delivered, and did not arrive"
        )
        assert self.answers[500] == 0 and self.slowest < patience, (self.answers, self.slowest)
        return after

    def _send(self) -> None:
        for start in range(0, self.items, self.batch):
            rows = [
                {"id": f"{self.source}-{number}", "prompt": f"{self.source} asks for thing {number}"}
                for number in range(start, min(start + self.batch, self.items))
            ]
            answer = self._until_answered(f"/api/v1/items?source={self.source}", rows, self.stack.people["ingest"])
            if answer is None or answer.status != 202:
                self.errors.append(f"ingest: {answer}")
            time.sleep(self.pace)

    def _review(self, key: str) -> None:
        while not self._done.is_set():
            held = self._until_answered("/api/v1/queues/default/next", None, key)
            if held is None or held.status == 204:
                time.sleep(0.1)
                continue
            if held.status != 200:
                self.errors.append(f"next: {held}")
                return
            token = held.json["token"]
            answer = self._until_answered(
                f"/api/v1/assignments/{token}/submit", CORRECTED, key, {"Idempotency-Key": f"key-{token}"}
            )
            if answer is not None and answer.status == 201:
                with self.lock:
                    assert answer.json["id"] not in self.reviews
                    self.reviews.add(answer.json["id"])
            else:
                self.errors.append(f"submit: {answer}")

    def _until_answered(self, path: str, body: Any, key: str, headers: dict[str, str] | None = None) -> Answer | None:
        """The same request again while the server cannot be reached, or asks for patience. None: the test is over."""
        while not self._done.is_set():
            began = time.monotonic()
            try:
                answer = self.stack.call("POST", path, body, key=key, headers=headers)
            except (OSError, http.client.HTTPException):
                answer = Answer(0, {}, "")
            with self.lock:
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.answers[answer.status] += 1
            if 0 < answer.status < 500:
                return answer
            if answer.status:
                with self.lock:
                    self.problems[answer.json["type"].rpartition(":")[2]] += 1
                if "Retry-After" not in answer.headers:
                    self.errors.append(f"{path}: {answer}")
                    return answer
            time.sleep(LONGEST_PAUSE_S)
        return None
