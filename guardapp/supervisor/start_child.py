"""The launcher between supervisor and child: `python -m guardapp.supervisor.start_child PARENT_PID COMMAND...`.

It asks the kernel to kill the child when the supervisor dies, then becomes the child. Only Linux supports this; on
other systems, a supervisor killed with SIGKILL leaves its children running.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>; kept across execve


def main(parent: int, command: Sequence[str]) -> None:
    if sys.platform == "linux":
        # SIGKILL rather than SIGTERM: a worker that first finished its task would outlive its broker. Claims make a
        # kill harmless.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # the supervisor may have died before the request was made
        if os.getppid() != parent:
            sys.exit(os.EX_TEMPFAIL)
    os.execvp(command[0], list(command))  # noqa: S606


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
