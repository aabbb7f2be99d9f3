"""The little program between a worker and a job: `python -m training.services.launch PARENT_PID MODULE RUN_DIR`.

It makes the job nice to the web process and asks the kernel to stop it when its worker dies, then becomes the job.
"""

import ctypes
import os
import signal
import sys

NICE = 10
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>; kept across execve


def main(parent: int, module: str, run_dir: str) -> None:
    os.nice(NICE)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # the worker died before the request was made
            sys.exit(os.EX_TEMPFAIL)
    os.execv(sys.executable, [sys.executable, "-m", module, run_dir])  # noqa: S606


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
