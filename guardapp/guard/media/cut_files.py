"""Whether a file ends before its own headers say."""

from pathlib import Path


def riff_is_cut(source: Path) -> bool:
    """Whether the file is shorter than its RIFF header states; 0 and the largest number state nothing."""
    with source.open("rb") as stream:
        stated = int.from_bytes(stream.read(8)[4:], "little")
    return stated not in (0, 0xFFFFFFFF) and stated + 8 > source.stat().st_size


def boxes_run_past_end(source: Path) -> bool:
    """Whether a box of an ISO media file extends past the end."""
    size, at = source.stat().st_size, 0
    with source.open("rb") as stream:
        while at + 8 <= size:
            stream.seek(at)
            header = stream.read(16)
            length = int.from_bytes(header[:4], "big")
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            # length 0: the box extends to the end of the file
            if length == 0:
                return False
            if length < 8 or not header[4:8].isalnum():
                return False
            at += length
    return at != size
