"""The program that opens untrusted files: `python -m guardapp.guard.media.sandbox_child PARENT_PID`.

It reads one JSON value per line from stdin: first {"limits": {...}, "jobs": n}, then one job each {"source", "kind",
"mime", "preset": {...}, "folder"}, until stdin ends. For each job it writes one JSON line to stdout: {"ok": manifest}
or {"error": code, "detail": text}. An unexpected error ends the program; the parent reports it.
"""

import json
import os
import re
import resource
import signal
import sys
from pathlib import Path
from typing import Any, TextIO

from guardapp.guard.media.animation_times import ANIMATIONS
from guardapp.guard.media.errors import MediaCorrupt, MediaError, MediaOutOfMemory
from guardapp.guard.media.values import Limits, to_manifest
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import MediaPreset
from guardapp.processes import die_with_parent, never_gain_privileges

NICENESS = 10
STARTUP_CPU_S = 5
NEARLY_ALL = 0.85


def main(parent: int) -> int:
    """Answer jobs until stdin ends."""
    never_gain_privileges()
    die_with_parent(signal.SIGKILL, parent)
    answers = take_stdout()
    hello = json.loads(sys.stdin.readline())
    limits = Limits(**hello["limits"])
    restrict(limits, int(hello["jobs"]))
    for line in sys.stdin:
        allow_cpu(limits.cpu_s)
        answers.write(json.dumps(answer(json.loads(line), limits)) + "\n")
        answers.flush()
    return 0


def answer(job: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Decode one file into the job's folder."""
    try:
        return {"ok": decode_here(job, limits)}
    except MemoryError:
        return {"error": MediaOutOfMemory.code, "detail": ""}
    except MediaCorrupt as error:
        # FFmpeg reports a failed allocation as "invalid data"
        return {"error": MediaOutOfMemory.code if memory_is_used_up(limits) else error.code, "detail": error.detail}
    except MediaError as error:
        return {"error": error.code, "detail": error.detail}


def decode_here(job: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Load the decoder for this kind of media, after the limits are set, and run it."""
    source, folder, preset = Path(job["source"]), Path(job["folder"]), MediaPreset(**job["preset"])
    if MediaKind(job["kind"]) is MediaKind.IMAGE:
        from guardapp.guard.media.images import decode_image

        return to_manifest(decode_image(source, job["mime"], preset, limits, folder))
    if job["mime"] in ANIMATIONS:
        from guardapp.guard.media.animations import decode_animation

        return to_manifest(decode_animation(source, job["mime"], preset, limits, folder))
    from guardapp.guard.media.videos import decode_video

    return to_manifest(decode_video(source, job["mime"], preset, limits, folder))


def memory_is_used_up(limits: Limits) -> bool:
    """Whether the peak address space came close to its limit; False on systems that do not report it."""
    if sys.platform != "linux":
        return False
    peak_kib = re.search(r"^VmPeak:\s+([0-9]+) kB", Path("/proc/self/status").read_text("utf-8"), re.MULTILINE)
    return peak_kib is not None and int(peak_kib[1]) * 1024 > NEARLY_ALL * limits.memory_bytes


def take_stdout() -> TextIO:
    """Reserve stdout for answers; anything that a decoder prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def restrict(limits: Limits, jobs: int) -> None:
    """Permanently limit memory, processor time, file size, open files and core dumps."""
    cap(resource.RLIMIT_CORE, 0)
    cap(resource.RLIMIT_FSIZE, limits.max_frame_bytes)
    cap(resource.RLIMIT_NOFILE, limits.open_files)
    cap(resource.RLIMIT_CPU, STARTUP_CPU_S + jobs * (limits.cpu_s + 1))
    # other systems accept the limit and ignore it
    if sys.platform == "linux":
        cap(resource.RLIMIT_AS, limits.memory_bytes)
    os.nice(NICENESS)


def cap(kind: int, value: int) -> None:
    """Set the soft and hard limit, unless the hard limit is already lower."""
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def allow_cpu(seconds: int) -> None:
    """Give the next file its own CPU time: the soft limit counts from the start of the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (min(soft, hard), hard))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
