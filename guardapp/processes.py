"""Processes that must not outlive their parent."""

import ctypes
import os
import signal
import sys

# <linux/prctl.h>; kept across execve but not across fork
PR_SET_PDEATHSIG = 1


def die_with_parent(number: signal.Signals, parent: int | None = None) -> None:
    """Ask the kernel to send this signal when the parent ends. Linux only.

    Exits at once if `parent` (a process id) has already ended.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    # the parent may have ended before the request was made
    if parent is not None and os.getppid() != parent:
        sys.exit(os.EX_TEMPFAIL)
