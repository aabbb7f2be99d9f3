"""A job that `accelerate launch` started several times: who writes files, and how all of them stop at the same step."""

import logging
import os
import sys

import torch
from torch import distributed


def processes() -> int:
    """How many processes this job has."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    """Whether this process writes the run directory's files. The others only compute."""
    return os.environ.get("RANK", "0") == "0"


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any of them. All must call it at the same point: each waits for the others.

    Without it one process would see a wish to stop a step before another, which then waits for it for ever.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return flag
    device = (
        torch.device("cuda", torch.cuda.current_device())
        if distributed.get_backend() == "nccl"
        else torch.device("cpu")
    )
    flags = torch.tensor([int(flag)], device=device)
    distributed.all_reduce(flags, op=distributed.ReduceOp.MAX)
    return bool(flags.item())


def log_to_stdout() -> None:
    """A job's log: everything of the first process, only warnings of the others."""
    level = logging.INFO if is_main_process() else logging.WARNING
    logging.basicConfig(stream=sys.stdout, level=level, format="%(asctime)s %(levelname)s %(message)s")
