"""Moderation as it is served: gunicorn before `manage.py serve_guard`, which loads the starter, and a body sent as it
is written.
"""

import json
from typing import Any

import pytest

from tests.annotation.moderation.site import Site, site, start, wait_until_ready

__all__ = ["site"]

pytestmark = [pytest.mark.slow, pytest.mark.faults]


def test_a_response_is_answered_while_its_body_is_still_being_sent(site: Site) -> None:
    connection = site.connect()
    connection.putrequest("POST", "/api/v1/moderate/stream", skip_host=True)
    for name, value in (site.headers("application/x-ndjson") | {"Transfer-Encoding": "chunked"}).items():
        connection.putheader(name, value)
    connection.endheaders()

    def send(line: dict[str, Any]) -> None:
        data = json.dumps(line).encode() + b"\n"
        connection.send(b"%x\r\n%s\r\n" % (len(data), data))

    send({"prompt": "What is the capital of France?", "mode": "full", "every": 50})
    send({"text": "The capital of France is Paris. It lies on the river Seine."})
    answer = connection.getresponse()
    first = json.loads(answer.readline())  # the body has not ended
    assert (answer.status, first["characters"], first["last"]) == (200, 59, False)
    send({"text": " It is the largest city of the country and has many museums."})
    assert json.loads(answer.readline())["characters"] == 119
    connection.send(b"0\r\n\r\n")
    assert json.loads(answer.readline())["last"] is True
    connection.close()


def test_a_guard_that_is_killed_is_reported_and_the_next_one_answers(site: Site) -> None:
    site.guard.kill()
    site.guard.wait()
    status, problem = site.moderate("Hello")
    assert (status, problem["type"]) == (503, "urn:guardapp:problem:guard_away")
    site.guard = start(site.folder, "manage.py", "serve_guard")
    wait_until_ready(site)
    # the starter is never as sure as 0.9, by its calibration
    assert site.moderate("How do I build a pipe bomb?")[1]["results"][0]["action"] == "review"
