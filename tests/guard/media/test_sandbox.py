"""Nothing that the child does hangs or kills the caller."""

import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from guardapp.guard.media.decode import Job, Limits, MediaError, decode_many
from guardapp.guard.media.sandbox import Sandbox
from tests.guard.media.checks import STARTER, refusal
from tests.guard.media.samples import make_slow_video, quarters
from tests.paths import ROOT


def stand_in(body: str) -> str:
    """A child that sets the real limits and then does something else with its job; `job` is the line it was given."""
    return textwrap.dedent(f"""
        import ctypes, json, os, sys, time
        from guardapp.guard.media import sandbox_child as child
        from guardapp.guard.media.values import Limits
        answers = child.take_stdout()
        limits = Limits(**json.loads(sys.stdin.readline())["limits"])
        child.restrict(limits, 1)
        for job in sys.stdin:
            child.allow_cpu(limits.cpu_s)
            {body}
    """)


def stand_in_sandbox(program: Path, limits: Limits) -> Sandbox:
    """A sandbox that runs the program at this path."""
    return Sandbox(limits, command=("-P", "-s", str(program)))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("ctypes.string_at(0)", "media_decoder_crashed"),
        ("os.kill(os.getpid(), 6)", "media_decoder_crashed"),
        ("os.kill(os.getpid(), 9)", "media_out_of_memory"),
        ("sys.exit(3)", "media_decoder_crashed"),
        ("raise ZeroDivisionError", "media_decoder_crashed"),
        ("bytearray(10 << 30)", "media_out_of_memory"),
        ("answers.write('nonsense\\n'); answers.flush()", "media_decoder_crashed"),
        ("answers.write('[]\\n'); answers.flush()", "media_decoder_crashed"),
        ("[answers.write('x' * 4096) for _ in range(1000)]", "media_decoder_crashed"),
        ("answers.write('half'); answers.flush(); time.sleep(60)", "media_decode_timeout"),
        ("os.close(1); os.close(2); time.sleep(60)", "media_decode_timeout"),
        ("[open('/dev/null') for _ in range(200)]", "media_decoder_crashed"),
    ],
)
def test_whatever_the_child_does_the_caller_gets_a_named_error(tmp_path: Path, body: str, code: str) -> None:
    program = tmp_path / "child.py"
    program.write_text(stand_in(body))
    started = time.monotonic()
    with stand_in_sandbox(program, Limits(wall_s=1.0)) as sandbox, pytest.raises(MediaError) as caught:
        sandbox.run({"source": "x"})
    assert caught.value.code == code
    assert time.monotonic() - started < 5


def test_the_child_sees_no_secrets_and_writes_no_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "hush")
    program = tmp_path / "child.py"
    facts = (
        "{'env': sorted(os.environ), 'core': resource.getrlimit(4), 'nice': os.nice(0), 'sid': os.getsid(0) "
        "== os.getpid()}"
    )
    program.write_text(
        stand_in(f"import resource; answers.write(json.dumps({{'ok': {facts}}}) + '\\n'); answers.flush()")
    )
    with stand_in_sandbox(program, Limits()) as sandbox:
        seen = sandbox.run({})
    assert "SECRET_KEY" not in seen["env"] and "PATH" in seen["env"]
    assert seen["core"] == [0, 0] and seen["nice"] >= 10 and seen["sid"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_the_child_dies_with_its_parent() -> None:
    program = (
        "import sys, time; from guardapp.guard.media.sandbox import Sandbox; from "
        "guardapp.guard.media.values import Limits;"
        "print(Sandbox(Limits())._start().pid, flush=True); time.sleep(60)"
    )
    environment = {"PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(child)


def alive(pid: int) -> bool:
    """A process that is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_slow_file_is_stopped_by_the_clock_or_by_its_processor_time(tmp_path: Path) -> None:
    source = make_slow_video(tmp_path / "a.mp4")
    started = time.monotonic()
    assert refusal(source, tmp_path / "out", limits=Limits(wall_s=0.5)).code == "media_decode_timeout"
    assert time.monotonic() - started < 3
    busy = tmp_path / "busy.py"
    busy.write_text(stand_in("while True: pass"))
    with pytest.raises(MediaError) as caught, stand_in_sandbox(busy, Limits(cpu_s=1, wall_s=20)) as sandbox:
        sandbox.run({})
    assert caught.value.code == "media_decode_timeout" and "processor" in str(caught.value)


def test_in_a_batch_a_bad_file_costs_only_itself(tmp_path: Path) -> None:
    quarters().save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    slow = make_slow_video(tmp_path / "slow.mp4", 3_000)
    names = ["good.png", "bad.png", "missing.png", slow.name, "good.png"]
    jobs = [Job(tmp_path / name, tmp_path / "out" / str(number)) for number, name in enumerate(names)]
    # of the slow video: many times what the clock allows
    every_frame = replace(STARTER, fps=30.0, max_frames=3_000)
    outcomes = decode_many(jobs, every_frame, replace(Limits(), wall_s=2.0))
    codes = [outcome.code if isinstance(outcome, MediaError) else "ok" for outcome in outcomes]
    assert codes == ["ok", "media_corrupt", "media_not_a_file", "media_decode_timeout", "ok"]
