"""A forced stage sets the finished results aside until the new ones are complete. The file is also
the script of a process that forces a stage and is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import runtime.stage
from pipeline.stages import load_config
from runtime.atomic import DiskFullError
from runtime.errors import InputError
from runtime.record import read_record
from runtime.sections import RunConfig
from runtime.stage import StageRun, StageSpec, run_stage

MakeConfig = Callable[..., RunConfig]

ROOT = Path(__file__).resolve().parents[2]


def idle(run: StageRun) -> None:
    """Do nothing."""


SPEC = StageSpec(name="first", command="first.stage", sections=("bmn",), work=idle)
OLD, NEW = "bmn.epochs=10", "bmn.epochs=3"
KILLS = ("set aside", "begun", "in the work", "complete", "in the removal", "before putting back")


def write(run: StageRun) -> None:
    """Append to the stage's only result."""
    with (run.folder / "items.txt").open("a") as file:
        file.write(f"{run.config.bmn.epochs}\n")


def never_called(run: StageRun) -> None:
    raise AssertionError("the stage is complete")


def refuse(error: Exception) -> Callable[[StageRun], None]:
    """Return work that ends before it has made anything."""

    def work(run: StageRun) -> None:
        raise error

    return work


def write_and_refuse(run: StageRun) -> None:
    write(run)
    raise DiskFullError("no space left")


@pytest.mark.parametrize("error", [InputError("bad key"), FileNotFoundError("w.pt"), RuntimeError("a bug")])
def test_a_stage_that_made_nothing_brings_the_old_results_back(
    make_config: MakeConfig, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _finished(make_config)
    before = _contents(folder)
    with pytest.raises(type(error)):
        run_stage(replace(SPEC, work=refuse(error)), make_config(NEW), force=True)
    assert f"first: the results from before --force are back in {folder}" in capsys.readouterr().err
    assert _contents(folder) == before
    assert run_stage(replace(SPEC, work=never_called), make_config(OLD)) == 0
    assert run_stage(replace(SPEC, work=write), make_config(NEW), force=True) == 0  # the corrected command
    assert _folders(folder) == ["first"]


def test_the_old_results_stay_until_the_new_ones_are_complete(
    make_config: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _finished(make_config)
    before, replaced = _contents(folder), folder.with_name("first.replaced")
    with pytest.raises(DiskFullError):
        run_stage(replace(SPEC, work=write_and_refuse), make_config(NEW), force=True)
    told = f"not complete; until it is, the results from before --force are in {replaced}"
    assert told in capsys.readouterr().err
    assert _contents(replaced) == before
    assert run_stage(replace(SPEC, work=write), make_config(NEW)) == 0
    assert (folder / "items.txt").read_text() == "3\n3\n"  # went on
    assert _folders(folder) == ["first"]


def test_force_again_begins_from_nothing_and_keeps_the_old_results(make_config: MakeConfig) -> None:
    folder = _finished(make_config)
    before = _contents(folder)
    for _ in range(2):
        with pytest.raises(DiskFullError):
            run_stage(replace(SPEC, work=write_and_refuse), make_config(NEW), force=True)
        assert (folder / "items.txt").read_text() == "3\n"
        assert _contents(folder.with_name("first.replaced")) == before


def test_what_was_not_finished_is_not_kept(make_config: MakeConfig) -> None:
    with pytest.raises(DiskFullError):
        run_stage(replace(SPEC, work=write_and_refuse), make_config(OLD))
    with pytest.raises(InputError):
        run_stage(replace(SPEC, work=refuse(InputError("bad key"))), make_config(NEW), force=True)
    folder = Path(make_config().run_dir) / "first"
    assert [path.name for path in folder.iterdir()] == ["stage.json"]
    assert _folders(folder) == ["first"]


def test_a_stage_in_a_linked_folder_can_be_forced(make_config: MakeConfig, tmp_path: Path) -> None:
    folder = _finished(make_config)
    folder.rename(tmp_path / "of another run")
    folder.symlink_to(tmp_path / "of another run")
    assert run_stage(replace(SPEC, work=write), make_config(NEW), force=True) == 0
    assert _folders(folder) == ["first"]
    assert (tmp_path / "of another run" / "items.txt").read_text() == "10\n"


@pytest.mark.parametrize("moment", KILLS)
@pytest.mark.parametrize("force", [False, True])
def test_a_killed_stage_loses_nothing_and_ends_with_the_new_results(
    make_config: MakeConfig, config_file: Path, moment: str, force: bool
) -> None:
    folder = _finished(make_config)
    command = [sys.executable, __file__, moment, str(config_file), f"run_dir={make_config().run_dir}", NEW]
    killed = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert "complete" in [read_record(path).get("state") for path in folder.parent.glob("first*")]
    assert run_stage(replace(SPEC, work=write), make_config(NEW), force=force) == 0
    items = (folder / "items.txt").read_text()
    assert items == ("3\n3\n" if moment == "in the work" and not force else "3\n")
    assert read_record(folder)["config"]["bmn"]["epochs"] == 3
    assert _folders(folder) == ["first"]


def _finished(make_config: MakeConfig) -> Path:
    run_stage(replace(SPEC, work=write), make_config(OLD))
    return Path(make_config().run_dir) / "first"


def _folders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.parent.iterdir() if path.is_dir())


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def die(*_: Any, **__: Any) -> None:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Force the stage and die at a moment."""
    moment, config_file, *words = sys.argv[1:]
    rename, works = Path.rename, {"begun": die, "before putting back": refuse(InputError("bad key"))}

    def rename_and_die(path: Path, target: Path) -> None:
        if moment == "set aside":
            rename(path, target)
            die()
        if path.name == "first.replaced":
            die()
        rename(path, target)

    def write_and_die(run: StageRun) -> None:
        write(run)
        die()

    def remove_half_and_die(folder: Path) -> None:
        (folder / "stage.json").unlink()
        die()

    if moment in ("set aside", "before putting back"):
        Path.rename = rename_and_die  # type: ignore[method-assign, assignment]
    if moment == "complete":
        runtime.stage.settle_replaced = die
    if moment == "in the removal":
        shutil.rmtree = remove_half_and_die  # type: ignore[assignment]
    work = {**works, "in the work": write_and_die}.get(moment, write)
    run_stage(replace(SPEC, work=work), load_config(config_file, words), force=True)


if __name__ == "__main__":
    main()
