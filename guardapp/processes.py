"""Processes that must not outlive their parent.

Only Linux supports this. On other systems, a parent killed with SIGKILL leaves its children running.
"""

import ctypes
import os
import signal
import sys

# <linux/prctl.h>; both are kept across execve, the first not across fork
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38


def die_with_parent(number: signal.Signals, parent: int | None = None) -> None:
    """Ask the kernel to send this signal when the parent ends. Linux only.

    Exits at once if `parent` (a process id) has already ended.
    """
    if sys.platform != "linux":
        return
    _prctl(PR_SET_PDEATHSIG, number)
    # the parent may have ended before the request was made
    if parent is not None and os.getppid() != parent:
        sys.exit(os.EX_TEMPFAIL)


def never_gain_privileges() -> None:
    """On Linux, keep this process and its children from gaining privileges."""
    if sys.platform == "linux":
        _prctl(PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
