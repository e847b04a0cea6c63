"""Two processes never work in one run folder; the second is told who holds it."""

from __future__ import annotations

import errno
import os
import shutil
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


NO_LOCKS = """
#include <errno.h>
#include <stdlib.h>
int flock(int file, int operation) { errno = atoi(getenv("FLOCK_ERRNO")); return -1; }
"""


@pytest.fixture(scope="module")
def without_locks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that takes the place of `flock`, as on a file system that has none."""
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(NO_LOCKS)
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler and LD_PRELOAD")
    command = [compiler, "-shared", "-fPIC", "-o", str(folder / "shim.so"), str(folder / "shim.c")]
    subprocess.run(command, check=True)
    return folder / "shim.so"


HOLD_TWICE = """
import sys
from pathlib import Path
from runtime.lock import hold
for _ in range(2):
    with hold(Path(sys.argv[1]), "bmn"):
        print("at work")
"""


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_said_once_and_the_work_goes_on(
    without_locks: Path, tmp_path: Path, code: int
) -> None:
    environment = {**os.environ, "LD_PRELOAD": str(without_locks), "FLOCK_ERRNO": str(code)}
    done = subprocess.run(
        [sys.executable, "-c", HOLD_TWICE, str(tmp_path)], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "at work\nat work\n")
    reason = os.strerror(code)
    assert done.stderr == (
        f"note: the file system of {tmp_path} has no locks ({reason}), so nothing stops a second process there: "
        f"start one at a time\n"
    )
