"""Write metrics.jsonl as a TensorBoard event file, which `wandb sync FOLDER` imports too.

An event file is a sequence of records: length (uint64), its checksum, an Event message, its checksum. The messages are
few and fixed, so they are encoded here field by field, without a protobuf package.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

CASTAGNOLI = 0x82F63B78
MASK = 0xA282EAD8
NOT_CHARTED = ("step", "seconds")


def write_events(path: Path, lines: Iterable[Mapping[str, Any]], *, began: float) -> int:
    """Write one event per metrics line with all of its numbers, and return the number of events.

    `began` is the Unix time from which the lines' "seconds" count.
    """
    written = 0
    with path.open("wb") as file:
        file.write(_record(_double(1, began) + _bytes(3, b"brain.Event:2")))
        for line in lines:
            file.write(_record(_event(line, began)))
            written += 1
    return written


def event_file_name(run: str, began: float) -> str:
    """TensorBoard reads files with `tfevents` in their name."""
    return f"events.out.tfevents.{began:.0f}.{run}"


def _event(line: Mapping[str, Any], began: float) -> bytes:
    values = b"".join(
        _bytes(1, _bytes(1, name.encode()) + struct.pack("<Bf", 2 << 3 | 5, value)) for name, value in _scalars(line)
    )
    return (
        _double(1, began + float(line.get("seconds", 0.0)))
        + _varint(2 << 3)
        + _varint(int(line["step"]))
        + _bytes(5, values)
    )


def _scalars(line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in line.items():
        if name not in NOT_CHARTED and isinstance(value, int | float) and not isinstance(value, bool):
            yield name, float(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Encode a base-128 varint: seven bits per byte, lowest first; every byte except the last has the high bit set."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _record(message: bytes) -> bytes:
    length = struct.pack("<Q", len(message))
    return length + struct.pack("<I", _masked(length)) + message + struct.pack("<I", _masked(message))


def _masked(content: bytes) -> int:
    checksum = crc32c(content)
    return ((checksum >> 15 | checksum << 17) + MASK) & 0xFFFFFFFF


def _table() -> tuple[int, ...]:
    entries = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (CASTAGNOLI if byte & 1 else 0)  # noqa: PLW2901
        entries.append(byte)
    return tuple(entries)


_CRC = _table()


def crc32c(content: bytes) -> int:
    """CRC-32C (Castagnoli), RFC 3720 appendix B.4."""
    checksum = 0xFFFFFFFF
    for byte in content:
        checksum = checksum >> 8 ^ _CRC[(checksum ^ byte) & 0xFF]
    return checksum ^ 0xFFFFFFFF
