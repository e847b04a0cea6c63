"""Two processes never work in one run folder; the second is told who holds it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.errors import InputError
from runtime.lock import LOCK_NAME, hold

HOLDER = """
import sys, time
from pathlib import Path
from runtime.lock import LOCK_NAME, hold
with hold(Path(sys.argv[1]), "feature_extraction"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds tmp_path."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_second_process_is_told_who_holds_the_folder(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    who = rf"{tmp_path} is in use by process {holder.pid} on \S+ \(python -m feature_extraction\); wait"
    with pytest.raises(InputError, match=who), hold(tmp_path, "bmn"):
        pass


def test_a_killed_holder_lets_go(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with hold(tmp_path, "bmn"):
        assert f"process {os.getpid()} " in (tmp_path / LOCK_NAME).read_text()


def test_the_folder_is_free_again_afterwards_also_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), hold(tmp_path, "bmn"):
        raise RuntimeError
    with hold(tmp_path, "bmn"), pytest.raises(InputError, match="in use by"), hold(tmp_path, "bmn"):
        pass
