"""The external id of content that came without one."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def made_id(prompt: str, response: str | None, media: Iterable[bytes | Path]) -> str:
    """The same content gets the same id, so that sending it twice makes one item. Media counts by its bytes, in
    order.
    """
    digest = hashlib.sha256(repr((prompt, response)).encode("utf-8", "surrogatepass"))
    for content in media:
        data = content if isinstance(content, bytes) else content.read_bytes()
        digest.update(hashlib.sha256(data).digest())
    return f"sha256-{digest.hexdigest()[:40]}"
