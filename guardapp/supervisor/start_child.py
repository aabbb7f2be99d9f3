"""The little program between the supervisor and a child: `python -m guardapp.supervisor.start_child PARENT_PID
COMMAND...`.

It asks the kernel to kill the child when the supervisor dies, then becomes the child. Elsewhere than on Linux there is
no such request: there a supervisor that is killed with SIGKILL leaves its children behind.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>; kept across execve


def main(parent: int, command: Sequence[str]) -> None:
    if sys.platform == "linux":
        # SIGKILL and not SIGTERM: a worker that finishes its task first would outlive its broker; claims make a kill
        # harmless
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the supervisor died before the request was made
            sys.exit(os.EX_TEMPFAIL)
    os.execvp(command[0], list(command))  # noqa: S606


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
