"""Multi-process jobs started by `accelerate launch`: which process writes, and how all stop at the same step."""

import logging
import os
import sys

import torch
from torch import distributed


def processes() -> int:
    """The number of processes of this job."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    """Whether this process writes the files of the run directory; the others only compute."""
    return os.environ.get("RANK", "0") == "0"


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process. A collective call: all processes must make it at the same point.

    Without it, one process could see a stop request a step before another, which would then wait for ever.
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
    """Log everything from the first process and only warnings from the others."""
    level = logging.INFO if is_main_process() else logging.WARNING
    logging.basicConfig(stream=sys.stdout, level=level, format="%(asctime)s %(levelname)s %(message)s")
