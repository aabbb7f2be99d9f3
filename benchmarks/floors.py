"""Baselines in plain PostgreSQL, which benchmarks.platform measures alongside the product."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

FLOOR = "floor_item"
JOINED = """
COPY (
    SELECT gold.id, gold.item_id, item.source, item.external_id, item.modality, item.prompt, item.response, gold.prompt_label,
        gold.response_label, gold.categories, gold.source, gold.policy_version_id, gold.target_steps, gold.target_source, gold.created_at,
        hard.errors, said.version_id, said.completion, said.parsed, said.steps, said.prompt_label, said.response_label, said.categories,
        said.rollouts, said.disagreement, said.media_seen, said.policy_version_id, review.kind, review.prompt_label,
        review.response_label, review.categories, review.severity, review.confidence, review.note, review.steps, review.seconds,
        review.mode, review.lane, review.created_at, review.reason, review.error_kinds, person.pseudonym
    FROM annotation_goldlabel AS gold
    JOIN annotation_item AS item ON item.id = gold.item_id
    LEFT JOIN annotation_prediction AS said ON said.id = gold.prediction_id
    LEFT JOIN annotation_hardsample AS hard ON hard.gold_id = gold.id
    LEFT JOIN annotation_review AS review ON review.item_id = gold.item_id
    LEFT JOIN annotation_user AS person ON person.id = review.reviewer_id
    WHERE gold.withdrawn_at IS NULL AND gold.superseded_at IS NULL ORDER BY gold.id
) TO STDOUT"""
NEXT = """
SELECT id FROM annotation_item WHERE queue_id = %s AND status = 'ready' AND free_slots > 0
ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED"""
TAKE = "UPDATE annotation_item SET free_slots = free_slots - 1 WHERE id = %s"


class Floor:
    """One plain connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def make_equal_table(self) -> None:
        """Copy the items to a table with the same checks and indexes, built after filling, which is faster."""
        run = self._connection.execute
        run(f"CREATE TABLE {FLOOR} (LIKE annotation_item INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
        run(f"INSERT INTO {FLOOR} SELECT * FROM annotation_item")
        for (made,) in run("SELECT indexdef FROM pg_indexes WHERE tablename = 'annotation_item'").fetchall():
            run(made.replace("INDEX ", "INDEX floor_", 1).replace("public.annotation_item ", f"public.{FLOOR} ", 1))
        run(f"VACUUM ANALYZE {FLOOR}")
        count = "SELECT count(*) FROM pg_indexes WHERE tablename = %s"
        assert run(count, [FLOOR]).fetchone() == run(count, ["annotation_item"]).fetchone()

    def copy_in(self, first: int, last: int) -> float:
        """Seconds of a COPY of the items with these ids from memory."""
        with self._connection.cursor() as cursor:
            with cursor.copy(
                f"COPY (SELECT * FROM annotation_item WHERE id BETWEEN {first} AND {last}) TO STDOUT"
            ) as rows:
                ready = [bytes(block) for block in rows]
            started = time.perf_counter()
            with cursor.copy(f"COPY {FLOOR} FROM STDIN") as target:
                for block in ready:
                    target.write(block)
            taken = time.perf_counter() - started
            assert cursor.rowcount == len(ready)
        return taken

    def copy_out(self, path: Path) -> tuple[int, float]:
        """Number of rows, and seconds of a COPY TO of the joined data to a file."""
        started, rows = time.perf_counter(), 0
        with path.open("wb") as target, self._connection.cursor() as cursor, cursor.copy(JOINED) as lines:
            for block in lines:
                target.write(block)
                rows += 1
        return rows, time.perf_counter() - started

    def take_next(self, queue: int) -> float:
        """Milliseconds of a bare SELECT … FOR UPDATE SKIP LOCKED with the update that takes the item, committed."""
        started = time.perf_counter()
        with self._connection.transaction():
            found = self._connection.execute(NEXT, [queue]).fetchone()
            assert found is not None
            self._connection.execute(TAKE, found)
        return (time.perf_counter() - started) * 1000


@contextmanager
def floor(address: str) -> Iterator[Floor]:
    with psycopg.connect(address, autocommit=True) as connection:
        yield Floor(connection)
