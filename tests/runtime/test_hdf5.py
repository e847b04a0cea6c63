"""HDF5 files on a full disk: an error in words, not a crash, and nothing left behind."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from runtime.hdf5 import hdf5_into, open_hdf5, writing_hdf5

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
@pytest.mark.parametrize("count", [1, 10_000, 1_000_000])
def test_a_full_disk_is_an_error_and_no_crash(count: int) -> None:
    def fill() -> None:
        with Path("/dev/full").open("r+b", buffering=0) as raw, hdf5_into(raw) as file:
            file["values"] = np.arange(count)
            for name in range(200):  # enough for HDF5 to write its tables on the way
                file.create_group(f"group/{name}").attrs["number"] = name

    with pytest.raises(OSError, match="No space left on device"):
        fill()


LIMITED = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from runtime.hdf5 import writing_hdf5
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for _ in range(3):
    try:
        with writing_hdf5(Path(sys.argv[1])) as file:
            for i in range(2000):
                file[str(i)] = np.arange(100.0)
    except OSError as error:
        print(error.strerror)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
def test_a_disk_that_fills_on_the_way(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "a.h5")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["File too large"] * 3
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_is_read_by_any_hdf5(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(300, 70))
    with writing_hdf5(tmp_path / "a.h5") as file:
        file["x/y"] = values
        file["x/y"].attrs["unit"] = "s"
    with h5py.File(tmp_path / "a.h5") as plain, open_hdf5(tmp_path / "a.h5") as ours:
        for found in (plain, ours):
            np.testing.assert_array_equal(found["x/y"][()], values)
            assert found["x/y"].attrs["unit"] == "s"


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine"), writing_hdf5(tmp_path / "a.h5"):
        raise ValueError("mine")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler for a library without locks")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_files_open_where_there_are_no_locks(shared: Path, tmp_path: Path, number: int) -> None:
    with writing_hdf5(tmp_path / "a.h5") as file:
        file["x"] = 1
    library = tmp_path / "no_locks.so"
    source = shared / "cases/17_no_file_locks/lockshim.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True, capture_output=True)
    code = "import sys, pathlib, runtime.hdf5 as h; print(list(h.open_hdf5(pathlib.Path(sys.argv[1]))))"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.h5"],
        env={**os.environ, "LD_PRELOAD": str(library), "SHIM_ERRNO": str(number)},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "['x']\n", done.stderr
