"""External ids for content submitted without one."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson


def made_id(
    prompt: str, response: str | None, media: Iterable[bytes | Path], messages: Sequence[dict[str, Any]] = ()
) -> str:
    """Derive an id from the content, so that sending it twice creates one item.

    Media is compared by its bytes, in order.
    """
    digest = hashlib.sha256(repr((prompt, response)).encode("utf-8", "surrogatepass"))
    for content in media:
        data = content if isinstance(content, bytes) else content.read_bytes()
        digest.update(hashlib.sha256(data).digest())
    if messages:
        digest.update(orjson.dumps(messages, option=orjson.OPT_SORT_KEYS))
    return f"sha256-{digest.hexdigest()[:40]}"
