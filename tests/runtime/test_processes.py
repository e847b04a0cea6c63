"""One stage, several processes: process 0 decides, writes and speaks; the others only help."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from runtime import processes
from runtime.command import stage_command
from runtime.errors import InputError
from runtime.record import read_record
from runtime.sections import RunConfig
from runtime.stage import StageRun, StageSpec, run_stage

MakeConfig = Callable[..., RunConfig]
Launch = Callable[[int, int], None]


def idle(run: StageRun) -> None:
    """Do nothing."""


TRAINS = StageSpec(name="first", command="first", sections=("seed",), weights="weights.pt", work=idle)
DOES_NOT = StageSpec(name="first", command="first.stage", sections=("seed",), work=idle)


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch) -> Launch:
    """Return a function that sets the environment as torchrun does: rank of world size, two a
    machine."""

    def be(rank: int, world_size: int) -> None:
        numbers = {
            "RANK": rank,
            "WORLD_SIZE": world_size,
            "LOCAL_RANK": rank % 2,
            "LOCAL_WORLD_SIZE": min(2, world_size),
        }
        for name, number in numbers.items():
            monkeypatch.setenv(name, str(number))

    return be


def _train(run: StageRun) -> None:
    print("working", run.config.seed)
    print("working", file=sys.stderr)
    if processes.is_main():
        (run.folder / "weights.pt").write_bytes(b"1")
    run.skip("vid", "damaged")


def test_the_numbers_are_those_of_the_environment(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert _numbers() == (0, 1, 0, 1, True)
    launch(0, 1)
    assert _numbers() == (0, 1, 0, 1, True)
    launch(3, 4)
    assert _numbers() == (3, 4, 1, 2, False)


def _numbers() -> tuple[int, int, int, int, bool]:
    return (
        processes.rank(),
        processes.world_size(),
        processes.local_rank(),
        processes.local_world_size(),
        processes.is_main(),
    )


@pytest.mark.parametrize("word", ["", "two", "-1"])
def test_an_environment_that_torchrun_did_not_set_is_refused(
    word: str, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch(0, 2)
    monkeypatch.setenv("RANK", word)
    with pytest.raises(
        InputError, match=rf"variable RANK should be a number.*found '{word}'; start with torchrun"
    ):
        processes.is_main()


def test_the_others_work_in_silence_and_leave_no_record(
    make_config: MakeConfig, launch: Launch, capsys: pytest.CaptureFixture[str]
) -> None:
    launch(1, 2)
    seen = []
    assert (
        run_stage(replace(TRAINS, work=lambda run: (_train(run), seen.append(run))[0]), make_config("seed=3"))
        == 0
    )
    assert seen[0].config.seed == 3
    assert seen[0].folder == Path(make_config().run_dir) / "first"
    assert capsys.readouterr() == ("", "")
    assert not Path(make_config().run_dir).exists()


def test_an_error_of_another_process_is_not_silent(
    config_file: Path, launch: Launch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(run: StageRun) -> None:
        raise RuntimeError("out of memory")

    launch(1, 2)
    assert (
        stage_command(replace(TRAINS, work=fail, description="Do it."), {}, ["--config", str(config_file)])
        == 3
    )
    assert "RuntimeError: out of memory" in capsys.readouterr().err


def test_all_skip_a_complete_stage_and_all_redo_a_forced_one(
    make_config: MakeConfig, launch: Launch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[int] = []

    def count(run: StageRun) -> None:
        calls.append(processes.rank())
        _train(run)

    launch(0, 2)
    assert run_stage(replace(TRAINS, work=count), make_config()) == 1
    for rank in (0, 1):
        launch(rank, 2)
        run_stage(replace(TRAINS, work=count), make_config())
    assert calls == [0]
    for rank in (1, 0):  # in this order: what process 0 has cleared away is of no interest to the others
        launch(rank, 2)
        run_stage(replace(TRAINS, work=count), make_config(), force=True)
    assert calls == [0, 1, 0]
    assert read_record(Path(make_config().run_dir) / "first")["state"] == "complete"


def test_a_stage_that_does_not_train_is_refused_by_process_0(make_config: MakeConfig, launch: Launch) -> None:
    calls: list[StageRun] = []
    launch(0, 2)
    message = (
        r"'first' does not train, so it is no work for the 2 processes of torchrun; .*`python -m first.stage`"
    )
    with pytest.raises(InputError, match=message):
        run_stage(replace(DOES_NOT, work=calls.append), make_config())
    launch(1, 2)
    assert run_stage(replace(DOES_NOT, work=calls.append), make_config()) == 0  # process 0 says it
    assert calls == []


def test_to_torchrun_skipped_items_are_no_failure(config_file: Path, launch: Launch) -> None:
    argv = ["--config", str(config_file)]
    launch(0, 2)
    assert stage_command(replace(TRAINS, work=_train, description="Do it."), {}, argv) == 0
    launch(0, 1)
    assert stage_command(replace(TRAINS, work=_train, description="Do it."), {}, argv) == 1


def test_only_the_help_of_training_stages_speaks_of_torchrun(capsys: pytest.CaptureFixture[str]) -> None:
    for spec, expected in ((TRAINS, True), (DOES_NOT, False)):
        with pytest.raises(SystemExit):
            stage_command(replace(spec, work=_train, description="Do it."), {}, ["--help"])
        screen = capsys.readouterr().out
        assert ("torchrun --nproc_per_node=4 -m first --config configs/hacs.yaml" in screen) == expected
        assert ("under torchrun: 0 done, skipped items listed; 1 anything else" in screen) == expected
