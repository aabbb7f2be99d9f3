"""What the suite costs in processor time, which does not change with what else the machine does, as wall time does."""

from collections.abc import Generator
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import Any

import pytest


def spent(*whose: int) -> float:
    """Seconds of user and system time; of children once they have ended."""
    return sum(used.ru_utime + used.ru_stime for used in map(getrusage, whose))


class CpuTime:
    """Prints the processor time of a run at its end, and with --durations=N that of the N costliest tests.

    A worker of xdist reports its own time and that of the processes it started; the controller adds them up.
    """

    def __init__(self) -> None:
        self.workers: list[float] = []
        self.tests: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        before = spent(RUSAGE_SELF, RUSAGE_CHILDREN)
        answer = yield
        self.tests[item.nodeid] = spent(RUSAGE_SELF, RUSAGE_CHILDREN) - before
        return answer

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["cpu_time"] = (spent(RUSAGE_SELF, RUSAGE_CHILDREN), self.tests)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        # a worker that crashed has no output
        seconds, tests = getattr(node, "workeroutput", {}).get("cpu_time", (0.0, {}))
        self.workers.append(seconds)
        self.tests |= tests

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        costliest = sorted(self.tests.items(), key=lambda one: -one[1])[: config.getoption("durations") or 0]
        if costliest:
            terminalreporter.section(f"costliest {len(costliest)} tests by processor time")
        for name, seconds in costliest:
            terminalreporter.write_line(f"{seconds:8.2f}s {name}")
        # workers are children of the controller and must not count twice
        here = (RUSAGE_SELF,) if self.workers else (RUSAGE_SELF, RUSAGE_CHILDREN)
        total = sum(self.workers) + spent(*here)
        terminalreporter.write_line(
            f"processor time: {total / 60:.1f} minutes, collecting and {len(self.tests)} tests, "
            f"{sum(self.tests.values()) / 60:.1f} of them in tests"
        )
