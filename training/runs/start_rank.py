"""One process of a job that has several: `python -m training.runs.start_rank MODULE RUN_DIR`, started by `accelerate
launch`.

A stop that was asked for counts as a good end here: accelerate's agent reports any other exit code as a failure and
ends the other processes. The first process that fails writes why into RUN_DIR/error.txt.
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
# in the environment: the id of the process that starts these, where they are its children
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
    except Exception as error:  # noqa: BLE001  (whatever a job dies of is for its log and its run)
        traceback.print_exc()
        write_error(Path(run_dir), f"{type(error).__name__}: {error}")
        return 1
    return 0


def write_error(run_dir: Path, message: str) -> None:
    try:
        with (run_dir / ERROR).open("x") as file:
            file.write(message)
    except FileExistsError:
        pass  # another process failed first; this one most likely of it


if __name__ == "__main__":
    code = main(sys.argv[1], sys.argv[2])
    sys.stdout.flush()
    sys.stderr.flush()
    # the files are written; the interpreter's own end would wait for gloo's and NCCL's threads
    os._exit(code)
