"""Files that appear whole or not at all, also when the writer is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
from runtime.errors import InputError
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


def test_threads_that_write_the_same_file_do_not_take_one_anothers(tmp_path: Path) -> None:
    destination, both = tmp_path / "a.txt", threading.Barrier(2, timeout=30)

    def write(text: str) -> None:
        with atomic_path(destination) as temporary:
            temporary.write_text(text)
            both.wait()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ["first", "second"]))
    assert destination.read_text() in ("first", "second")
    assert list(tmp_path.iterdir()) == [destination]


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


def test_of_a_link_the_target_is_replaced(tmp_path: Path) -> None:
    target, link, dangling = tmp_path / "real" / "a.txt", tmp_path / "link.txt", tmp_path / "dangling.txt"
    write_text(target, "old")
    link.symlink_to(target)
    dangling.symlink_to(tmp_path / "real" / "b.txt")
    write_text(link, "new")
    write_text(dangling, "made")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert (tmp_path / "real" / "b.txt").read_text() == "made"
    assert list(tmp_path.rglob(f"*{TEMPORARY_SUFFIX}")) == []


def test_links_in_a_circle_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert guarded(lambda: write_text(tmp_path / "a", "text") or 0) == 2
    assert f"error: {tmp_path / 'a'}: " in capsys.readouterr().err
    assert (tmp_path / "a").is_symlink()


def test_pipes_and_devices_are_written_into(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_json(pipe, [1])
    reader.join(10)
    assert read == ["[\n  1\n]\n"]
    assert pipe.is_fifo()
    write_text(Path("/dev/null"), "nothing")
    assert Path("/dev/null").is_char_device()


def test_a_tilde_that_no_shell_has_replaced_makes_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=rf"^~/out\.txt: would make a folder named '~'; write {Path.home()}/"
    ):
        write_text(Path("~/out.txt"), "text")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_is_said_and_leaves_nothing_behind(small_disk: Path) -> None:
    write_text(small_disk / "earlier.txt", "finished")
    with pytest.raises(DiskFullError, match=r"large\.txt: no space left on the disk; .*: free some space"):
        write_text(small_disk / "large.txt", "x" * 3_000_000)
    assert [path.name for path in small_disk.iterdir()] == ["earlier.txt"]


def test_a_disk_that_is_read_only_is_said_by_the_name_that_was_given(
    small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert guarded(lambda: write_text(small_disk / "a.txt", "text") or 0) == 2
    where = f"error: {small_disk / 'a.txt'}: "
    assert capsys.readouterr().err == f"{where}read-only file system; name a place that can be written\n"


def test_a_full_disk_ends_a_command_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise DiskFullError("features.h5: no space left on the disk")

    assert guarded(fail) == 2
    assert capsys.readouterr().err == "error: features.h5: no space left on the disk\n"
