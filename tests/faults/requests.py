"""What the faults are tried with: requests to the stack, and what it says of an item."""

import base64
import io
import os
from collections.abc import Mapping

from PIL import Image

from tests.faults.servers import until
from tests.faults.stack import Answer, Stack
from tests.faults.traffic import Traffic


def half_way(traffic: Traffic) -> None:
    """Some is reviewed, some waits, and more is to come."""
    until(
        lambda: traffic.census().reviews >= traffic.items // 4, 60, f"reviews begin: {traffic.answers} {traffic.errors}"
    )


def ingest(stack: Stack, *rows: Mapping[str, object], source: str) -> Answer:
    return stack.call("POST", f"/api/v1/items?source={source}", rows, key=stack.people["ingest"])


def page(stack: Stack) -> Answer:
    return stack.call("GET", "/", session=True)


def picture() -> str:
    """A new one each time, as a data: URL."""
    content = io.BytesIO()
    Image.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3)).save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def status_of(stack: Stack, external_id: str) -> tuple[str, str]:
    [(status, code)] = stack.site.rows(
        f"SELECT status, error_code FROM annotation_item WHERE external_id = '{external_id}'"
    )
    return status, code


def predicted(stack: Stack, external_id: str) -> bool:
    return status_of(stack, external_id)[0] in ("ready", "reviewed")


def moderate(stack: Stack, prompt: str, deadline_ms: int = 10_000) -> Answer:
    return stack.call(
        "POST",
        "/api/v1/moderate",
        {"contents": [{"prompt": prompt}], "deadline_ms": deadline_ms},
        key=stack.people["ingest"],
    )
