"""A process that must not outlive the one that started it."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>; kept across execve, not across fork


def die_with_parent(number: signal.Signals, parent: int | None = None) -> None:
    """Ask the kernel for this signal when the parent ends; exit at once where `parent` (its id) is not there any
    more.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if parent is not None and os.getppid() != parent:  # it died before the request was made
        sys.exit(os.EX_TEMPFAIL)
