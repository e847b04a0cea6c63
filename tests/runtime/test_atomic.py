"""Files that appear whole or not at all, also when the writer is killed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.atomic import (
    TEMPORARY_SUFFIX,
    DiskFullError,
    atomic_path,
    sweep_temporary_files,
    write_json,
    write_text,
)
from runtime.exit_codes import guarded

KILLED_WRITER = """
import os, sys
from pathlib import Path
from runtime.atomic import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), 9)
"""


def test_the_file_appears_at_the_end_only(tmp_path: Path) -> None:
    destination = tmp_path / "deep" / "a.txt"
    with atomic_path(destination) as temporary:
        temporary.write_text("new")
        assert not destination.exists()
        assert temporary.parent == destination.parent  # a rename over file systems would not be atomic
    assert destination.read_text() == "new"
    assert list(tmp_path.rglob(f"*{TEMPORARY_SUFFIX}")) == []


def _write_half(destination: Path) -> None:
    with atomic_path(destination) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stop")


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    destination = tmp_path / "a.txt"
    write_text(destination, "old")
    with pytest.raises(RuntimeError, match="stop"):
        _write_half(destination)
    assert destination.read_text() == "old"
    assert list(tmp_path.iterdir()) == [destination]


def test_a_writer_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_leaves_is_swept(tmp_path: Path) -> None:
    destination = tmp_path / "sub" / "a.txt"
    killed = subprocess.run([sys.executable, "-c", KILLED_WRITER, str(destination)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not destination.exists()
    assert [path.suffix for path in destination.parent.iterdir()] == [TEMPORARY_SUFFIX]
    write_text(tmp_path / "kept.txt", "kept")
    assert sweep_temporary_files(tmp_path) == 1
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["kept.txt"]


def test_json_is_readable_and_never_holds_nan(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"ü": 0.1})
    assert path.read_text(encoding="utf-8") == '{\n  "ü": 0.1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"x": float("nan")})
    assert "0.1" in path.read_text(encoding="utf-8")


def test_a_full_disk_is_said_and_leaves_nothing_behind(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    try:
        write_text(tmp_path / "earlier.txt", "finished")
        with pytest.raises(
            DiskFullError, match=r"large\.txt: no space left on the disk; .*: free some space"
        ):
            write_text(tmp_path / "large.txt", "x" * 3_000_000)
        assert [path.name for path in tmp_path.iterdir()] == ["earlier.txt"]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_ends_a_command_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise DiskFullError("features.h5: no space left on the disk")

    assert guarded(fail) == 2
    assert capsys.readouterr().err == "error: features.h5: no space left on the disk\n"
