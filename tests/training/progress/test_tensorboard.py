"""TensorBoard's event files. Read with TensorBoard 2.21's own reader when this was written; here by a reader of a few
lines.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from training.progress.tensorboard import crc32c, event_file_name, write_events


# RFC 3720, B.4, and the check value of the CRC catalogue
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_the_checksum_is_crc32c(content: bytes, expected: int) -> None:
    assert crc32c(content) == expected


def records(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    at = 0
    while at < len(content):
        length, _ = struct.unpack_from("<QI", content, at)
        yield content[at + 12 : at + 12 + length]
        at += length + 16
    assert at == len(content)


def test_each_metrics_line_is_an_event_with_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / event_file_name("r1", 1000.0)
    lines: list[dict[str, Any]] = [
        {"step": 1, "loss": 2.5, "seconds": 3.0, "tokens": 300},
        {"step": 200, "loss": 0.25, "stage": "training", "kept": True},
    ]
    assert write_events(path, lines, began=1000.0) == 2
    assert "tfevents" in path.name
    head, first, second = records(path)
    assert head.endswith(b"brain.Event:2")
    assert struct.unpack_from("<d", first, 1) == (1003.0,)
    assert first[9:11] == b"\x10\x01"  # field 2, step 1
    assert b"loss\x15" + struct.pack("<f", 2.5) in first and b"tokens\x15" + struct.pack("<f", 300.0) in first
    assert second[9:12] == b"\x10\xc8\x01"  # step 200 in two bytes
    assert b"seconds" not in first and b"stage" not in second and b"kept" not in second
