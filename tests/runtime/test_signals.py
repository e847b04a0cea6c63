"""A command that is asked to end: one line, its exit code, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ALONE = """
import time
from runtime.exit_codes import guarded
def act():
    print("at work", flush=True)
    time.sleep(60)
"""
WITH_WORKERS = r"""
import os, time
from runtime.exit_codes import guarded
from runtime.parallel import parallel_map
def work(item):
    os.write(1, b"at work\n")  # at once: two of them speak
    time.sleep(60)
def act():
    list(parallel_map(work, range(4), workers=2))
"""
WITH_A_FORK = """
import multiprocessing, time
from runtime.exit_codes import guarded
def act():
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
    child.start()
    print("at work", flush=True)
    time.sleep(0.3)
    child.terminate()
    child.join(10)
    print(child.exitcode, flush=True)
    time.sleep(60)
"""
END = """
raise SystemExit(guarded(act))
"""

Start = Callable[..., subprocess.Popen[str]]


def hear_all() -> None:
    """Undo what nohup and background jobs of a shell hand on: SIGHUP and SIGINT ignored."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a script in a session of its own; return when it is at work."""
    processes = []

    def started(script: str, *before: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*before, sys.executable, "-c", script + END],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=hear_all,
        )
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        return process

    yield started
    for process in processes:
        for left in members(process.pid):
            os.kill(left, signal.SIGKILL)
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def members(session: int) -> list[int]:
    """Living processes of a session."""
    listed = subprocess.run(["ps", "-eo", "sid=,pid=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [int(pid) for sid, pid, state in rows if int(sid) == session and not state.startswith("Z")]


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "ended by SIGTERM"),
        (signal.SIGHUP, 129, "ended by SIGHUP"),
    ],
)
def test_one_line_and_the_code_of_the_shell(start: Start, number: int, code: int, word: str) -> None:
    process = start(ALONE)
    os.kill(process.pid, number)
    assert process.wait(20) == code
    assert process.stderr is not None
    assert process.stderr.read() == f"{word}; the same command goes on from here\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_workers_go_with_the_process_that_alone_gets_the_signal(start: Start, number: int) -> None:
    process = start(WITH_WORKERS)
    assert len(members(process.pid)) > 2
    os.kill(process.pid, number)
    assert process.wait(20) == 128 + number
    assert process.stderr is not None
    deadline = time.monotonic() + 10
    while members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert members(process.pid) == []


def test_nohup_is_kept(start: Start) -> None:
    process = start(ALONE, "nohup")
    os.kill(process.pid, signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(20) == 143


def test_a_forked_child_dies_of_the_signal_as_ever(start: Start) -> None:
    process = start(WITH_A_FORK)
    assert process.stdout is not None
    assert process.stdout.readline() == f"{-signal.SIGTERM}\n"


def test_an_output_that_nobody_reads_any_longer_ends_a_command_without_a_word() -> None:
    code = (
        "from runtime.exit_codes import guarded\n"
        "def act():\n"
        "    for _ in range(100_000): print('a line')\n"
        "    return 0\n"
        "raise SystemExit(guarded(act))"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"a line\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_a_broken_pipe_of_our_own_is_an_error_of_the_program() -> None:
    code = (
        "from runtime.exit_codes import guarded\n"
        "def act(): raise BrokenPipeError(32, 'x')\n"
        "raise SystemExit(guarded(act))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 3
    assert b"BrokenPipeError" in done.stderr
