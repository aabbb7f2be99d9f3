"""The launcher between worker and job: `python -m training.runs.start_job PARENT_PID MODULE RUN_DIR`.

It lowers the job's priority below the web process's, asks the kernel to stop it if its worker dies, and becomes the
job.

If RUN_DIR/accelerate.yaml asks for several processes, it stays and supervises `accelerate launch`, which starts
training.runs.start_rank for each process. It turns a stop request into the cancel file, which all processes see at the
same step: accelerate's agent would give them 30 seconds and then report a failure. No process outlives the others.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from guardapp.processes import die_with_parent
from training.contract import ACCELERATE, CANCEL, EXIT_CANCELLED, RESULT
from training.runs.start_rank import AGENT, ERROR

NICE = 10


def main(parent: int, module: str, run_dir: str) -> None:
    os.nice(NICE)
    die_with_parent(signal.SIGTERM, parent)
    if (Path(run_dir) / ACCELERATE).exists():
        sys.exit(together(module, Path(run_dir)))
    shield(os.environ)
    one_gpu(os.environ)
    os.execv(sys.executable, [sys.executable, "-m", module, run_dir])  # noqa: S606


def shield(environment: "os._Environ[str]", launch: str = "") -> None:
    """No file is unpickled, and processes of one machine listen on its loopback interface only.

    `launch` is the text of accelerate.yaml. DeepSpeed reads its own checkpoints, which it pickles, by itself.
    """
    if 'distributed_type: "DEEPSPEED"' not in launch:
        environment["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    if launch and "num_machines: 1\n" in launch and sys.platform == "linux":
        for library in ("GLOO", "NCCL"):
            environment.setdefault(f"{library}_SOCKET_IFNAME", "lo")


def one_gpu(environment: "os._Environ[str]") -> None:
    """Restrict a single-process job to one GPU: with more, the trainer would replicate the model in threads."""
    environment["CUDA_VISIBLE_DEVICES"] = environment.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]


def together(module: str, run_dir: Path) -> int:
    """Run the job's processes and return the exit code of the job."""
    (run_dir / ERROR).unlink(missing_ok=True)
    shield(os.environ, (run_dir / ACCELERATE).read_text())
    agent = subprocess.Popen(  # noqa: S603
        [
            sys.executable,
            "-m",
            "accelerate.commands.launch",
            "--config_file",
            str(run_dir / ACCELERATE),
            "-m",
            "training.runs.start_rank",
            module,
            str(run_dir),
        ],
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # signals to our group must not reach it
        preexec_fn=die_with_us,  # noqa: PLW1509  (this process has one thread)
    )

    def stop(_number: int, _frame: FrameType | None) -> None:
        (run_dir / CANCEL).touch()

    signal.signal(signal.SIGTERM, stop)
    code = agent.wait()
    if (run_dir / RESULT).exists():
        return 0
    if (run_dir / ERROR).exists():
        # the last line of the log shows the cause
        sys.stdout.write((run_dir / ERROR).read_text() + "\n")
        return 1
    return EXIT_CANCELLED if code == 0 else 1


def die_with_us() -> None:
    die_with_parent(signal.SIGKILL)
    # used by the processes that it starts, which must not outlive it either
    os.environ[AGENT] = str(os.getpid())


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
