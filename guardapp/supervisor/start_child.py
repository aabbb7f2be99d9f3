"""The launcher between supervisor and child: `python -m guardapp.supervisor.start_child PARENT_PID COMMAND...`.

It asks the kernel to kill the child when the supervisor dies, then becomes the child.
"""

import os
import signal
import sys
from collections.abc import Sequence

from guardapp.processes import die_with_parent


def main(parent: int, command: Sequence[str]) -> None:
    # SIGKILL rather than SIGTERM: a worker that first finished its task would outlive its broker. Claims make a kill
    # harmless.
    die_with_parent(signal.SIGKILL, parent)
    os.execvp(command[0], list(command))  # noqa: S606


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
