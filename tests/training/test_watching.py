"""Times of steps and of waiting, by a clock that the test moves; TensorBoard's files as its own
reader sees them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from runtime.errors import InputError
from runtime.settings import RuntimeConfig
from training.watching import LoadingWatch, Reading, Scalars, StepClock, TimingFile


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def _slow_loader(clock: Clock, seconds: float, count: int):
    for number in range(count):
        clock.seconds += seconds
        yield number


def test_waiting_is_part_of_a_step_and_nothing_else_counts() -> None:
    now = Clock()
    clock = StepClock(now)
    batches = clock.timed(_slow_loader(now, 3.0, 4))
    loaded = []
    for _ in range(2):
        with clock.step(items=5):
            loaded += [next(batches), next(batches)]
            now.seconds += 2.0
        now.seconds += 100.0  # validation
    assert loaded == [0, 1, 2, 3]
    assert clock.reading == Reading(steps=2, items=10, duration_s=16.0, waited_s=12.0)
    assert clock.reading.figures() == {
        "steps": 2,
        "duration_s": 16.0,
        "data_wait_share": 0.75,
        "items_per_s": 0.625,
    }
    later = clock.reading.since(Reading(steps=1, items=5, duration_s=8.0, waited_s=6.0))
    assert later == Reading(steps=1, items=5, duration_s=8.0, waited_s=6.0)
    assert list(batches) == []


def test_the_share_of_nothing_is_0() -> None:
    assert Reading().figures() == {"steps": 0, "duration_s": 0.0, "data_wait_share": 0.0, "items_per_s": 0.0}


def _watch(share: float, step_s: float, later_share: float | None = None) -> None:
    """200 steps: 10 that only wait, 100 that wait for a share of their time, 90 for another one."""
    watch, reading = LoadingWatch(loader_workers=3), Reading()
    for step_share in [1.0] * 10 + [share] * 100 + [share if later_share is None else later_share] * 90:
        reading = Reading(
            reading.steps + 1, 0, reading.duration_s + step_s, reading.waited_s + step_s * step_share
        )
        watch.look(reading)


def test_slow_loading_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    _watch(share=0.35, step_s=1.0)
    expected = (
        "warning: 35 % of the training time is waiting for data; "
        "raise runtime.loader_workers (now 3) if there are cores to spare\n"
    )
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(("share", "later_share", "told"), [(0.0, 0.5, 50), (0.15, 0.25, 25), (0.4, 0.9, 40)])
def test_loading_that_becomes_slow_later_is_said_once(
    share: float, later_share: float, told: int, capsys: pytest.CaptureFixture[str]
) -> None:
    _watch(share, step_s=1.0, later_share=later_share)
    found = capsys.readouterr().err
    assert found.count("is waiting for data") == 1
    assert f"warning: {told} % of the training time" in found


@pytest.mark.parametrize(
    ("share", "step_s"),
    [
        (0.15, 1.0),  # fast enough; only the first steps waited for the loader to start
        (0.9, 0.05),  # over in ten seconds, nothing to gain
    ],
)
def test_what_costs_little_is_not_worth_a_word(
    share: float, step_s: float, capsys: pytest.CaptureFixture[str]
) -> None:
    _watch(share, step_s)
    assert capsys.readouterr().err == ""


def test_timing_lines_of_repeated_epochs_are_replaced(tmp_path: Path) -> None:
    first = TimingFile(tmp_path, epochs_done=0)
    for epoch in (1, 2, 3):
        first.add({"epoch": epoch, "steps": 4})
    TimingFile(tmp_path, epochs_done=1).add({"epoch": 2, "steps": 1})
    lines = [json.loads(line) for line in (tmp_path / "timing.jsonl").read_text().splitlines()]
    assert lines == [{"epoch": 1, "steps": 4}, {"epoch": 2, "steps": 1}]


def test_tensorboard_reads_what_was_written_and_not_what_was_repeated(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    wanted = RuntimeConfig(tensorboard=True)
    attempt = Scalars(tmp_path, wanted, first_step=0)
    for step in range(1, 6):
        attempt.add("step", {"loss": 10.0 * step}, step)
    attempt.close()
    again = Scalars(tmp_path, wanted, first_step=3)  # goes on from a checkpoint after step 3
    for step in range(4, 7):
        again.add("step", {"loss": 10.0 * step}, step)
    again.add("epoch", {"validation_loss": 0.5}, 6)
    again.close()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    losses = [(event.step, event.value) for event in events.Scalars("step/loss")]
    assert losses == [(step, 10.0 * step) for step in range(1, 7)]
    assert [(event.step, event.value) for event in events.Scalars("epoch/validation_loss")] == [(6, 0.5)]


def test_tensorboard_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"runtime.tensorboard=true .* pip install tadaloc\[tensorboard\]"):
        Scalars(tmp_path, RuntimeConfig(tensorboard=True), 0)


def test_without_tensorboard_nothing_is_written(tmp_path: Path) -> None:
    scalars = Scalars(tmp_path, RuntimeConfig(), 0)
    scalars.add("step", {"loss": 1.0}, 1)
    scalars.close()
    assert list(tmp_path.iterdir()) == []
