"""Start and end of a job, common to all kinds."""

import argparse
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, Protocol, TypeVar

import torch

from training.contract import EXIT_CANCELLED, RESULT, read_config, write_json
from training.learning.environment import write_environment
from training.learning.heartbeat import Heartbeat, JobCancelled
from training.learning.plain_objects import send_plain_objects
from training.learning.processes import any_process, is_main_process, log_to_stdout

log = logging.getLogger("training.jobs")


class AnyConfig(Protocol):
    """The common fields of all jobs' configs."""

    @property
    def threads(self) -> int: ...


Config = TypeVar("Config", bound=AnyConfig)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Job(Generic[Config]):
    """A running job. `began` is Unix time in seconds."""

    run_dir: Path
    config: Config
    heartbeat: Heartbeat
    began: float


def run_job(run_dir: Path, kind: type[Config], work: Callable[[Job[Config]], dict[str, Any]]) -> int:
    """Run `work` and write its result to RUN_DIR/result.json; does nothing if that file exists.

    Returns 0 when done, or EXIT_CANCELLED if `work` raised JobCancelled; the same command then continues. Raises
    ConfigNotUsable.
    """
    if (run_dir / RESULT).exists():
        log.info("result.json exists: nothing left to do")
        return 0
    job = Job(run_dir, read_config(run_dir, kind), Heartbeat(run_dir), time.time())
    job.heartbeat.listen()
    send_plain_objects()
    if job.config.threads:
        torch.set_num_threads(job.config.threads)
    write_environment(run_dir)
    job.heartbeat.beat("loading", 0, 0)
    try:
        result = work(job)
    except JobCancelled as stopped:
        log.info("cancelled %s", stopped)
        return EXIT_CANCELLED
    if is_main_process():
        write_json(run_dir / RESULT, result)
    return 0


def by_all(prepare: Callable[[], Value]) -> Value:
    """Call `prepare` in each process. If one raises JobCancelled, all do."""
    prepared: list[Value] = []
    try:
        prepared.append(prepare())
    except JobCancelled:
        pass
    if any_process(not prepared):
        raise JobCancelled("before the first step")
    return prepared[0]


def start_as_program(main: Callable[[Path], int], description: str | None) -> NoReturn:
    """Entry point of `python -m training.jobs.<kind> RUN_DIR`; the first line of `description` is the help text."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("run_dir", type=Path)
    log_to_stdout()
    sys.exit(main(parser.parse_args().run_dir))
