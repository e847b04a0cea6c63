"""The command line of a stage: exit codes, help, and who is told what."""

from __future__ import annotations

import errno
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.command import stage_command
from runtime.errors import InputError
from runtime.stage import StageRun, StageSpec


def idle(run: StageRun) -> None:
    """Do nothing."""


SPEC = StageSpec(name="first", command="first.stage", sections=("seed",), work=idle)


def _command(config_file: Path, work: object, *words: str) -> int:
    return stage_command(
        replace(SPEC, work=work, description="Do it."), {}, ["--config", str(config_file), *words]
    )  # type: ignore[arg-type]


def test_done_is_0_and_skipped_items_are_1(config_file: Path) -> None:
    assert _command(config_file, lambda run: None) == 0
    assert _command(config_file, lambda run: run.skip("vid", "damaged"), "--force") == 1
    assert _command(config_file, lambda run: None) == 1


@pytest.mark.parametrize(
    ("error", "code", "screen"),
    [
        (InputError("bad label"), 2, "error: bad label\n"),
        (FileNotFoundError("weights.pt: no such file"), 2, "error: weights.pt: no such file\n"),
        (PermissionError("runs"), 2, "error: runs\n"),
        (
            OSError(errno.EROFS, "Read-only file system", "runs/.lock"),
            2,
            "error: runs/.lock: read-only file system; ",
        ),
        (OSError(errno.EROFS, "Read-only file system"), 2, "error: read-only file system; name a place"),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "x"),
            2,
            "x: file name too long; choose a shorter",
        ),
        (OSError(errno.EMFILE, "Too many open files"), 2, "error: too many open files; raise the limit"),
        (OSError(errno.EIO, "Input/output error", "a.mp4"), 2, "a.mp4: input/output error; the disk"),
        (OSError(errno.ESTALE, "Stale file handle", "a.h5"), 2, "a.h5: stale file handle; the network drive"),
        (OSError(errno.ENXIO, "No such device or address", "d"), 2, "error: d: no such device or address\n"),
        (OSError("of a library, about nothing in particular"), 3, "Traceback"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), 3, "Traceback"),
        (IsADirectoryError("found a folder: out"), 2, "error: found a folder: out\n"),
        (ValueError("a bug"), 3, "Traceback"),
        (RuntimeError("a bug"), 3, "RuntimeError: a bug"),
        (KeyboardInterrupt(), 130, "interrupted; the same command goes on from here"),
    ],
)
def test_what_the_work_raises_becomes_an_exit_code(
    config_file: Path, error: BaseException, code: int, screen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(run: StageRun) -> None:
        raise error

    assert _command(config_file, work) == code
    found = capsys.readouterr()
    assert screen in found.err
    assert ("Traceback" in found.err) == (code == 3)
    assert found.out == ""


def test_a_bad_config_is_2_and_the_work_is_not_called(
    config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _command(config_file, None, "bmn.epoch=1") == 2
    assert capsys.readouterr().err.startswith("error: unknown key 'bmn.epoch'")
    assert _command(config_file.with_name("absent.yaml"), None) == 2


def test_a_run_folder_that_is_a_file_is_2(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config_file.parent / "run").touch()
    assert _command(config_file, None) == 2
    assert str(config_file.parent / "run") in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["--config"], ["--config", "x", "--no-such-option"]])
def test_bad_arguments_are_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        stage_command(replace(SPEC, work=lambda run: None, description="Do it."), {}, argv)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("python -m first.stage: error: ")
    assert line.endswith("; see python -m first.stage --help")


def test_words_may_stand_anywhere(config_file: Path) -> None:
    seeds = []
    argv = [
        "seed=3",
        "--config",
        str(config_file),
        "runtime.threads=1",
        "--force",
        f"run_dir={config_file.parent / 'b'}",
    ]
    assert (
        stage_command(
            replace(SPEC, work=lambda run: seeds.append(run.config.seed), description="Do it."), {}, argv
        )
        == 0
    )
    assert seeds == [3]


def test_the_help_shows_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        stage_command(replace(SPEC, work=lambda run: None, description="Do it."), {}, ["--help"])
    assert caught.value.code == 0
    screen = capsys.readouterr().out
    assert "Do it." in screen
    assert "python -m first.stage --config configs/hacs_mini.yaml" in screen
    assert "0 done; 1 done with skipped items" in screen


def test_a_complete_stage_is_shown_from_a_disk_that_is_read_only(
    config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = config_file.parent / "run"
    run.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(run)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    try:
        assert _command(config_file, idle) == 0
        subprocess.run(["mount", "-o", "remount,ro", str(run)], check=True)
        capsys.readouterr()
        assert _command(config_file, idle) == 0
        assert "first: complete, nothing to do" in capsys.readouterr().err
        assert _command(config_file, idle, "--force") == 2
        place = "read-only file system; name a place that can be written"
        assert capsys.readouterr().err == f"error: {run / '.lock'}: {place}\n"
    finally:
        subprocess.run(["umount", str(run)], check=True)
