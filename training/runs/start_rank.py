"""One process of a multi-process job: `python -m training.runs.start_rank MODULE RUN_DIR`, run by accelerate.

A requested stop must exit with 0: accelerate's agent treats any other exit code as a failure and ends the other
processes. The first process that fails writes the cause to RUN_DIR/error.txt.
"""

import os
import runpy
import signal
import sys
import traceback
from pathlib import Path

from guardapp.processes import die_with_parent
from training.contract import EXIT_CANCELLED

ERROR = "error.txt"
# environment variable with the id of the parent process, if the parent started this one directly
AGENT = "GUARDAPP_AGENT"


def main(module: str, run_dir: str) -> int:
    agent = os.environ.get(AGENT)
    die_with_parent(signal.SIGKILL, int(agent) if agent else None)
    sys.argv = [module, run_dir]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            write_error(Path(run_dir), end.code)
            return 1
        return 0 if end.code in (None, EXIT_CANCELLED) else int(end.code)
    except Exception as error:  # noqa: BLE001  (any failure of a job goes to its log and its run)
        traceback.print_exc()
        write_error(Path(run_dir), f"{type(error).__name__}: {error}")
        return 1
    return 0


def write_error(run_dir: Path, message: str) -> None:
    try:
        with (run_dir / ERROR).open("x") as file:
            file.write(message)
    except FileExistsError:
        # another process failed first and most likely caused this
        pass


if __name__ == "__main__":
    code = main(sys.argv[1], sys.argv[2])
    sys.stdout.flush()
    sys.stderr.flush()
    # all files are written; a normal exit would wait for the threads of gloo and NCCL
    os._exit(code)
