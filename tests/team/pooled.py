"""What the web does with its pool, in a process of its own: `python -m tests.team.pooled THREADS`. Prints one JSON
object.

Threads ask pages through the WSGI entry point while another connection counts what PostgreSQL holds of us; then
PostgreSQL ends all of our connections, and the pages are asked again; then moderation waits for a guard that is slow,
while pages are asked.
"""

import io
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from guardapp.wsgi import application

OURS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
END_THEM = OURS.replace("count(*)", "count(pg_terminate_backend(pid))")
ROUNDS = 12


def get(path: str) -> int:
    """The status of one request."""
    got: list[int] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
        got.append(int(status.split(maxsplit=1)[0]))

    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_HOST": "localhost",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
    }
    body = application(environ, start_response)
    list(body)
    body.close()
    return got[0]


def count_while(done: threading.Event, server: "psycopg.Connection[Any]", most: list[int]) -> None:
    while not done.is_set():
        [(held,)] = server.execute(OURS).fetchall()
        most.append(held)
        time.sleep(0.005)


def held_after_release() -> bool:
    """Whether a thread that gave its connection back, as moderation does before it waits, still has one."""
    from django.db import connection

    from annotation.database.pool import release_connection

    connection.ensure_connection()
    release_connection()
    return connection.connection is not None


def main(threads: int) -> None:
    from django.conf import settings
    from django.db import connection

    database = settings.DATABASES["default"]
    most: list[int] = []
    done = threading.Event()
    with (
        psycopg.connect(
            host=database["HOST"],
            port=database["PORT"] or 5432,
            user=database["USER"],
            password=database["PASSWORD"] or None,
            dbname=database["NAME"],
            autocommit=True,
        ) as server,
        ThreadPoolExecutor(threads) as crowd,
    ):
        counter = threading.Thread(target=count_while, args=(done, server, most))
        counter.start()
        statuses = list(crowd.map(get, ["/readyz"] * threads * ROUNDS))
        done.set()
        counter.join()
        [(ended,)] = server.execute(END_THEM).fetchall()
        after = list(crowd.map(get, ["/readyz"] * threads * 2))
        held = list(crowd.map(lambda _: held_after_release(), range(threads)))
        [(left,)] = server.execute(OURS).fetchall()
    pool = "pool" in database["OPTIONS"]
    if pool:
        connection.close_pool()  # type: ignore[attr-defined]  # of the PostgreSQL backend
    print(
        json.dumps(
            {
                "pool": pool,
                "most": max(most),
                "left": left,
                "ended": ended,
                "statuses": sorted(set(statuses)),
                "after": sorted(set(after)),
                "held_after_release": sum(held),
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
