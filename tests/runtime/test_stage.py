"""A stage is done once, goes on where it was cut off, and refuses inputs that changed."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.errors import InputError
from runtime.fingerprint import file_state
from runtime.record import RECORD_NAME, read_record
from runtime.sections import RunConfig
from runtime.stage import StageRun, StageSpec, run_stage

MakeConfig = Callable[..., RunConfig]


def idle(run: StageRun) -> None:
    """Do nothing."""


FIRST = StageSpec(name="first", command="first.stage", sections=("seed", "bmn"), work=idle)
SECOND = StageSpec(name="second", command="second", sections=("proposals",), reads=("first",), work=idle)


class Work:
    """Writes one file, counts its calls, and can fail or skip items."""

    def __init__(self, *, skipped: dict[str, str] | None = None) -> None:
        self.calls = 0
        self.skipped = skipped or {}
        self.fail: Exception | None = None

    def __call__(self, run: StageRun) -> None:
        self.calls += 1
        with (run.folder / "items.txt").open("a") as file:
            file.write(f"{self.calls}\n")
        if self.fail:
            raise self.fail
        for item, reason in self.skipped.items():
            run.skip(item, reason)
        run.counts["items"] = 2
        run.summary = "two items"


def test_a_complete_stage_is_skipped_without_calling_its_work(
    make_config: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    work = Work()
    assert run_stage(replace(FIRST, work=work), make_config()) == 0
    record = _record(make_config()).read_bytes()
    capsys.readouterr()
    began = time.monotonic()
    assert run_stage(replace(FIRST, work=work), make_config()) == 0
    assert time.monotonic() - began < 1
    assert work.calls == 1
    assert "first: complete, nothing to do (two items)" in capsys.readouterr().err
    assert _record(make_config()).read_bytes() == record


@pytest.mark.parametrize(
    "word", ["runtime.workers=7", "proposals.max_proposals=5"], ids=["how, not what", "of another stage"]
)
def test_settings_that_do_not_shape_the_result_may_change(make_config: MakeConfig, word: str) -> None:
    work = Work()
    run_stage(replace(FIRST, work=work), make_config())
    assert run_stage(replace(FIRST, work=work), make_config(word)) == 0
    assert work.calls == 1


def test_a_changed_setting_is_named_and_nothing_is_touched(make_config: MakeConfig) -> None:
    work = Work()
    run_stage(replace(FIRST, work=work), make_config())
    before = _contents(make_config())
    with pytest.raises(
        InputError, match=r"config\.bmn\.epochs was 10, is now 3\n.*seed was 0, is now 1"
    ) as caught:
        run_stage(replace(FIRST, work=work), make_config("bmn.epochs=3", "seed=1"))
    assert "python -m first.stage ... --force" in str(caught.value)
    assert work.calls == 1
    assert _contents(make_config()) == before


def test_force_redoes_the_stage_from_nothing(make_config: MakeConfig) -> None:
    work = Work()
    run_stage(replace(FIRST, work=work), make_config())
    assert run_stage(replace(FIRST, work=work), make_config("bmn.epochs=3"), force=True) == 0
    assert (_record(make_config()).parent / "items.txt").read_text() == "2\n"  # the old file is gone
    assert read_record(_record(make_config()).parent)["config"]["bmn"]["epochs"] == 3


def test_a_cut_off_stage_goes_on_with_its_files(make_config: MakeConfig) -> None:
    work = Work()
    work.fail = RuntimeError("killed")
    with pytest.raises(RuntimeError, match="killed"):
        run_stage(replace(FIRST, work=work), make_config())
    folder = _record(make_config()).parent
    assert read_record(folder)["state"] == "cut off"
    (folder / "half.h5.123.part").write_text("half")  # what a killed writer leaves
    cut_off_s = read_record(folder)["duration_s"]
    with pytest.raises(InputError, match=r"bmn\.epochs was 10, is now 3"):  # half-done work is protected, too
        run_stage(replace(FIRST, work=work), make_config("bmn.epochs=3"))
    work.fail = None
    assert run_stage(replace(FIRST, work=work), make_config()) == 0
    assert (folder / "items.txt").read_text() == "1\n2\n"
    assert not list(folder.glob("*.part"))
    assert read_record(folder)["state"] == "complete"
    assert read_record(folder)["duration_s"] >= cut_off_s


def test_a_stage_that_made_nothing_may_be_started_with_other_settings(make_config: MakeConfig) -> None:
    def refuse(run: StageRun) -> None:
        raise InputError("no such network")

    with pytest.raises(InputError, match="no such network"):
        run_stage(replace(FIRST, work=refuse), make_config("bmn.epochs=3"))
    assert run_stage(replace(FIRST, work=Work()), make_config()) == 0


def test_the_duration_counts_all_attempts(make_config: MakeConfig) -> None:
    def slow(run: StageRun) -> None:
        (run.folder / "made").touch()
        time.sleep(0.1)
        if len(attempts) < 2:
            attempts.append(1)
            raise RuntimeError("cut off")

    attempts: list[int] = []
    for _ in range(2):
        with pytest.raises(RuntimeError):
            run_stage(replace(FIRST, work=slow), make_config())
    run_stage(replace(FIRST, work=slow), make_config())
    assert 0.3 <= read_record(_record(make_config()).parent)["duration_s"] < 3


def test_an_upstream_stage_must_be_complete(make_config: MakeConfig) -> None:
    with pytest.raises(
        InputError, match="run/first: stage 'first' must be complete first, found: not started"
    ):
        run_stage(replace(SECOND, work=Work()), make_config())
    failing = Work()
    failing.fail = RuntimeError("cut off")
    with pytest.raises(RuntimeError):
        run_stage(replace(FIRST, work=failing), make_config())
    with pytest.raises(InputError, match="'first' must be complete first, found: cut off"):
        run_stage(replace(SECOND, work=Work()), make_config())


def test_another_upstream_result_is_noticed(make_config: MakeConfig) -> None:
    run_stage(replace(FIRST, work=Work()), make_config())
    run_stage(replace(SECOND, work=Work()), make_config())
    run_stage(replace(FIRST, work=Work()), make_config("bmn.epochs=3"), force=True)
    with pytest.raises(InputError, match=r"stage\.first was \w+, is now \w+"):
        run_stage(replace(SECOND, work=Work()), make_config())


def test_a_changed_input_file_is_noticed(make_config: MakeConfig, tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text("1")
    spec = StageSpec(
        name="first",
        command="first",
        sections=(),
        inputs=lambda config: {"labels": file_state(path)},
        work=idle,
    )
    run_stage(replace(spec, work=Work()), make_config())
    path.write_text("12")
    message = r"input\.labels was labels\.json \(1 bytes\), is now labels\.json \(2 bytes\)"
    with pytest.raises(InputError, match=message):
        run_stage(replace(spec, work=Work()), make_config())


def test_skipped_items_are_listed_again_with_the_same_exit_code(
    make_config: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    work = Work(skipped={"vid1": "video file not found", "vid2": "0 bytes"})
    for _ in range(2):
        assert run_stage(replace(FIRST, work=work), make_config()) == 1
        screen = capsys.readouterr().err
        assert "first: 2 skipped:\n  vid1: video file not found\n  vid2: 0 bytes\n" in screen
    assert work.calls == 1


def test_the_record_says_what_was_made_from_what(make_config: MakeConfig) -> None:
    run_stage(replace(FIRST, work=Work(skipped={"vid1": "damaged"})), make_config("seed=4"))
    record = json.loads(_record(make_config()).read_text())
    assert record["state"] == "complete"
    assert record["seed"] == 4
    assert record["config"]["bmn"]["tscale"] == 100
    assert record["fingerprint_parts"]["config.bmn.tscale"] == 100
    assert len(record["fingerprint"]) == 16
    assert record["versions"].keys() >= {"python", "platform", "tadaloc", "torch", "numpy", "av"}
    assert record["duration_s"] >= 0
    assert 10 < record["peak_memory_mb"] < 100_000
    assert record["counts"] == {"items": 2}
    assert record["skipped"] == {"vid1": "damaged"}
    assert record["summary"] == "two items"
    assert "epochs: 10" in (_record(make_config()).parent.parent / "config.yaml").read_text()


def test_the_text_that_a_stage_shows_comes_back_every_time(
    make_config: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = StageSpec(name="first", command="first", sections=(), shows="table.txt", work=idle)

    def work(run: StageRun) -> None:
        (run.folder / "table.txt").write_text("mAP 12.3\n")

    for _ in range(2):
        run_stage(replace(spec, work=work), make_config())
        assert capsys.readouterr().out == "mAP 12.3\n"


@pytest.mark.parametrize("damage", ["{", "", "[]", '{"state": "complete"}', "\xff"])
def test_a_damaged_record_is_named_and_force_gets_over_it(make_config: MakeConfig, damage: str) -> None:
    run_stage(replace(FIRST, work=Work()), make_config())
    _record(make_config()).write_bytes(damage.encode("latin-1"))
    with pytest.raises(InputError, match=r"first/stage\.json is .*; run the stage again with --force"):
        run_stage(replace(FIRST, work=Work()), make_config())
    assert run_stage(replace(FIRST, work=Work()), make_config(), force=True) == 0


def _record(config: RunConfig) -> Path:
    return Path(config.run_dir) / "first" / RECORD_NAME


def _contents(config: RunConfig) -> dict[Path, bytes]:
    files = (path for path in Path(config.run_dir).rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files if path.name != ".lock"}


def test_other_weights_of_a_stage_count_for_those_that_read_it(make_config: MakeConfig) -> None:
    trained = dataclasses.replace(FIRST, weights="weights.pt")

    def train(content: bytes) -> Callable[[StageRun], None]:
        return lambda run: (run.folder / "weights.pt").write_bytes(content) and None

    run_stage(replace(trained, work=train(b"one")), make_config())
    run_stage(replace(SECOND, work=Work()), make_config())
    run_stage(replace(trained, work=train(b"one")), make_config(), force=True)
    assert (
        run_stage(replace(SECOND, work=Work()), make_config()) == 0
    )  # the same weights again: nothing changed
    run_stage(replace(trained, work=train(b"two")), make_config(), force=True)
    with pytest.raises(InputError, match=r"stage\.first was .*, weights [0-9a-f]{16}, is now .*, weights"):
        run_stage(replace(SECOND, work=Work()), make_config())


def test_moving_the_data_changes_nothing(make_config: MakeConfig) -> None:
    spec = StageSpec(name="first", command="first.stage", sections=("data",), work=idle)
    assert run_stage(replace(spec, work=Work()), make_config("data.root=here")) == 0
    never = Work()
    assert run_stage(replace(spec, work=never), make_config("data.root=there")) == 0
    assert never.calls == 0


def test_a_long_list_of_skipped_items_is_cut_on_the_screen_only(
    make_config: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    work = Work(skipped={f"video{n}": "video file not found" for n in range(25)})
    assert run_stage(replace(FIRST, work=work), make_config()) == 1
    shown = capsys.readouterr().err
    assert "video19: video file not found" in shown
    assert "video20" not in shown
    assert "... and 5 more, all of them in" in shown
    assert len(read_record(_record(make_config()).parent)["skipped"]) == 25
