"""Concurrent clients with persistent connections: `python -m benchmarks.serving_load`.

Reads one JSON object from stdin, {"port", "path", "key", "clients", "bodies": [text, …]}, sends every body once, and
prints one: {"seconds", "ms": [per answered request], "refused": number of 429 and 503 answers that were retried,
"failed": [other answers]}.

A request is a write and a read of a few hundred bytes, so that this program takes little of the CPU time of the program
under test.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

REFUSED = (429, 503)


@dataclass
class Load:
    """State shared by the clients."""

    port: int
    path: str
    key: str
    waiting: Iterator[str]
    ms: list[float] = field(default_factory=list)
    refused: int = 0
    failed: list[str] = field(default_factory=list)

    async def client(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for body in self.waiting:
            data = body.encode()
            request = (
                f"POST {self.path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.key}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
            ).encode() + data
            began = time.perf_counter()
            while True:
                writer.write(request)
                status, headers, content = await _answer(reader)
                if headers.get("connection") == "close":
                    writer.close()
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                if status not in REFUSED:
                    break
                self.refused += 1
                await asyncio.sleep(float(headers.get("retry-after", 1)))
            if status == 200:
                self.ms.append((time.perf_counter() - began) * 1_000)
            else:
                self.failed.append(f"{status} {content[:300].decode(errors='replace')}")
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Read status, headers by lower-case name, and body; the server sends Content-Length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def put(asked: dict[str, Any]) -> dict[str, Any]:
    load = Load(asked["port"], asked["path"], asked["key"], iter(asked["bodies"]))
    began = time.perf_counter()
    await asyncio.gather(*(load.client() for _ in range(asked["clients"])))
    return {"seconds": time.perf_counter() - began, "ms": load.ms, "refused": load.refused, "failed": load.failed}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(put(json.load(sys.stdin)))))
