"""What the settings and a task's wishes do to a training: validation that is cut off, best weights,
batch norm, precision, pieces, what the user is told."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from runtime.errors import InputError
from runtime.settings import RuntimeConfig
from training import checkpoint
from training.batches import ItemKey
from training.loop import Trainer
from training.settings import TrainingConfig

CONFIG: dict[str, Any] = {"epochs": 4, "batch_size": 5, "learning_rate": 0.05, "warmup_epochs": 1}
FIGURES = [0.3, 0.7, 0.7, 0.5]


class CutOffError(Exception):
    """Stands for `kill -9`."""


class Points(Dataset[Tensor]):
    """Inputs that depend on (epoch, item)."""

    def __getitem__(self, key: ItemKey) -> Tensor:
        return torch.randn(4, generator=torch.Generator().manual_seed(1000 * key[0] + key[1]))


class Task:
    """Batch norm and dropout; validation figures from a list, one an epoch, and a cut before one
    of them."""

    num_items = 10  # 2 steps an epoch
    best_metric: Any = ("figure", "max")

    def __init__(self, cut_off_at: int | None = None, cut_in_validation: int | None = None) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.dataset = Points()
        self.cut_off_at, self.cut_in_validation = cut_off_at, cut_in_validation
        self.calls = self.validations = 0
        self.trainer: Trainer | None = None

    def losses(self, model: nn.Module, batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        if self.calls == self.cut_off_at:
            raise CutOffError
        self.calls += 1
        return {"loss": (model(batch)[:, 0] - batch.sum(1)).square().mean()}

    def validate(self) -> dict[str, float]:
        assert self.trainer is not None
        epoch = self.trainer.step // 2
        if epoch == self.cut_in_validation:
            raise CutOffError
        self.validations += 1
        return {"figure": FIGURES[epoch - 1]}


def _trainer(task: Task, folder: Path, every_s: float = 1e9, **settings: Any) -> Trainer:
    task.trainer = Trainer(
        task,
        TrainingConfig(**{**CONFIG, **settings}),
        RuntimeConfig(checkpoint_every_s=every_s),
        folder=folder,
        seed=1,
        device=torch.device("cpu"),
        resolved={"a": 1},
    )
    return task.trainer


def _same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_a_cut_in_validation_repeats_the_validation_alone(epoch: int, tmp_path: Path) -> None:
    whole, cut, again = Task(), Task(cut_in_validation=epoch), Task()
    _trainer(whole, tmp_path / "whole").run("test")
    with pytest.raises(CutOffError):
        _trainer(cut, tmp_path / "cut").run("test")
    _trainer(again, tmp_path / "cut").run("test")
    assert (again.calls, again.validations) == (8 - 2 * epoch, 4 - epoch + 1)
    assert _same(again.model.state_dict(), whole.model.state_dict())
    for name in ("metrics.jsonl", "best.pt"):
        files = [tmp_path / folder / name for folder in ("whole", "cut")]
        if name == "best.pt":
            assert _same(*(checkpoint.load(file)["model"] for file in files))
        else:
            assert files[0].read_bytes() == files[1].read_bytes()


def test_after_a_validation_nothing_is_repeated(tmp_path: Path) -> None:
    with pytest.raises(CutOffError):
        _trainer(Task(cut_off_at=4), tmp_path).run("test")
    again = Task()
    _trainer(again, tmp_path).run("test")
    assert (again.calls, again.validations) == (4, 2)


@pytest.mark.parametrize(("direction", "epoch"), [("max", 2), ("min", 1)])
@pytest.mark.parametrize("cut_off_at", [None, 3, 5, 7])
def test_the_best_weights_are_kept_also_over_a_restart(
    direction: str, epoch: int, cut_off_at: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Task, "best_metric", ("figure", direction))
    at_epoch = Task(cut_in_validation=epoch)
    with pytest.raises(CutOffError):
        _trainer(at_epoch, tmp_path / "until").run("test")
    if cut_off_at is not None:
        with pytest.raises(CutOffError):
            _trainer(Task(cut_off_at), tmp_path / "run").run("test")
    trainer = _trainer(Task(), tmp_path / "run")
    trainer.run("test")
    best = checkpoint.load(trainer.best_path)
    assert best["epoch"] == epoch
    assert best["figures"]["figure"] == FIGURES[epoch - 1]
    assert best["config"] == {"a": 1}
    assert _same(best["model"], at_epoch.model.state_dict())


@pytest.mark.parametrize("metric", [None, ("absent", "max")])
def test_without_a_figure_there_is_no_best(
    metric: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Task, "best_metric", metric)
    _trainer(Task(), tmp_path).run("test")
    assert not (tmp_path / "best.pt").exists()


def test_a_validation_figure_that_is_not_finite_stops_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "FIGURES", [0.1, math.nan, 0.2, 0.3])
    trainer = _trainer(Task(), tmp_path)
    with pytest.raises(
        InputError, match=r"validation figure after step 4 is not finite: figure=nan; .*--force"
    ):
        trainer.run("test")
    assert checkpoint.load(trainer.best_path)["epoch"] == 1


def test_frozen_batch_norm_keeps_its_statistics_and_learns(tmp_path: Path) -> None:
    frozen, free = Task(), Task()
    before = {name: tensor.clone() for name, tensor in frozen.model.state_dict().items()}
    _trainer(frozen, tmp_path / "frozen", freeze_batch_norm=True).run("test")
    _trainer(free, tmp_path / "free").run("test")
    for name in ("1.running_mean", "1.running_var", "1.num_batches_tracked"):
        assert torch.equal(frozen.model.state_dict()[name], before[name])
        assert not torch.equal(free.model.state_dict()[name], before[name])
    assert not torch.equal(frozen.model[1].weight, before["1.weight"])


def test_batch_norm_over_processes_needs_gpus(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"sync_batch_norm=true needs GPUs, since torch has no .* on the cpu; set it"
    ):
        _trainer(Task(), tmp_path, sync_batch_norm=True)


def test_pieces_make_the_step_of_the_whole_batch(tmp_path: Path) -> None:
    """Dropout included; batch norm frozen, since its statistics are those of a piece."""
    whole, pieces = Task(), Task()
    settings: dict[str, Any] = {"freeze_batch_norm": True, "clip_gradient_norm": 0.5}
    _trainer(whole, tmp_path / "whole", **settings).run("test")
    _trainer(pieces, tmp_path / "pieces", **settings, micro_batch=2).run("test")
    assert (whole.calls, pieces.calls) == (8, 24)  # 5 items: 2, 2, 1
    for name, tensor in whole.model.state_dict().items():
        torch.testing.assert_close(pieces.model.state_dict()[name], tensor, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cut_off_at", [1, 2, 4, 11])
def test_a_run_cut_off_inside_a_step_ends_like_a_whole_one(cut_off_at: int, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"micro_batch": 3, "optimizer": "sgd", "precision": "bfloat16"}
    whole, again = Task(), Task()
    _trainer(whole, tmp_path / "whole", **settings).run("test")
    with pytest.raises(CutOffError):
        _trainer(Task(cut_off_at), tmp_path / "cut", every_s=0, **settings).run("test")
    _trainer(again, tmp_path / "cut", every_s=0, **settings).run("test")
    assert _same(again.model.state_dict(), whole.model.state_dict())


def test_bfloat16_is_used_in_the_forward_only(tmp_path: Path) -> None:
    class Watched(Task):
        def losses(self, model: nn.Module, batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
            assert model(batch).dtype == torch.bfloat16
            return super().losses(model, batch, generator)

        def validate(self) -> dict[str, float]:
            assert self.model(torch.ones(1, 4)).dtype == torch.float32
            return super().validate()

    trainer = _trainer(Watched(), tmp_path, precision="bfloat16")
    last = trainer.run("test")
    assert math.isfinite(last["loss"])
    state = checkpoint.load(tmp_path / "checkpoint.pt")
    moments = [value["exp_avg"] for value in state["optimizer"]["state"].values()]
    weights = [tensor for tensor in state["model"].values() if tensor.is_floating_point()]
    assert {tensor.dtype for tensor in (*moments, *weights)} == {torch.float32}
    assert all(torch.isfinite(tensor).all() for tensor in (*moments, *weights))


def test_new_parameters_of_a_task_learn_faster(tmp_path: Path) -> None:
    plain, fast = Task(), Task()
    fast.new_parameters = {"3.weight", "3.bias"}  # type: ignore[attr-defined]
    before = plain.model.state_dict()["3.weight"].clone()
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 10, "warmup_epochs": 0, "weight_decay": 0.0}
    for name, task in (("plain", plain), ("fast", fast)):  # one step of AdamW goes as far as the rate
        _trainer(task, tmp_path / name, **settings, new_layer_rate_factor=3.0).run("test")
    moved = [(task.model.state_dict()["3.weight"] - before).abs().max() for task in (plain, fast)]
    assert float(moved[1]) == pytest.approx(3 * float(moved[0]), rel=1e-3)
    assert torch.equal(plain.model[0].weight, fast.model[0].weight)


def test_the_user_is_told_what_a_step_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _trainer(Task(), tmp_path, micro_batch=3, optimizer="sgd", precision="bfloat16").run("toy")
    expected = (
        "toy: 1 process on cpu, batches of 5 items, 3 a forward; sgd, peak learning rate 0.05, bfloat16; "
        "step 0 of 8\n"
    )
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"batch_size": 512}, "batches of 10 items (batch_size=512 is more than the 10 items), 10 a forward"),
        (
            {"batch_size": 9},
            "batches of 5 items (batch_size=9 cuts the 10 items into 2 nearly equal batches), 5 a forward",
        ),
        ({"batch_size": 4}, "batches of 4 items, 4 a forward"),  # of 4, 3, 3
        (
            {"batch_size": 10, "micro_batch": 8},
            "batches of 10 items, 5 a forward",
        ),  # pieces are of equal size, too
    ],
)
def test_the_user_is_told_how_large_batches_are_in_fact(
    settings: dict[str, Any], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[int] = []

    class Watched(Task):
        def losses(self, model: nn.Module, batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
            seen.append(len(batch))
            return super().losses(model, batch, generator)

        def validate(self) -> dict[str, float]:
            return {}

    _trainer(Watched(), tmp_path, epochs=1, warmup_epochs=0, **settings).run("toy")
    assert f", {told}; adamw" in capsys.readouterr().err
    assert max(seen) == int(told.split()[-3])


def test_the_user_is_told_of_a_warm_up_that_outlasts_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _trainer(Task(), tmp_path, warmup_epochs=8).run("toy")
    epochs = CONFIG["epochs"]
    assert f"toy.warmup_epochs=8 must be below epochs={epochs}" in capsys.readouterr().err


def test_times_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(CutOffError):
        _trainer(Task(cut_off_at=5), tmp_path, every_s=0).run("test")
    _trainer(Task(), tmp_path, every_s=0).run("test")
    metrics, timing = (
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("metrics.jsonl", "timing.jsonl")
    )
    assert metrics[0].keys() == {"epoch", "step", "learning_rate", "loss", "figure"}
    assert [(line["epoch"], line["step"], line["steps"]) for line in timing] == [
        (1, 2, 2),
        (2, 4, 2),
        (3, 6, 1),
        (4, 8, 2),
    ]
    assert all(0 <= line["data_wait_share"] <= 1 and line["items_per_s"] > 0 for line in timing)


def test_tensorboard_shows_steps_and_epochs(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trainer = _trainer(Task(), tmp_path)
    trainer.runtime = RuntimeConfig(tensorboard=True)
    trainer.run("test")
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("step/loss")] == list(range(1, 9))
    found = [(event.step, event.value) for event in events.Scalars("epoch/figure")]
    assert found == [(2 * epoch + 2, pytest.approx(figure)) for epoch, figure in enumerate(FIGURES)]
    rates = [event.value for event in events.Scalars("step/learning_rate")]
    assert rates[-1] == pytest.approx(trainer.metrics[-1]["learning_rate"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"micro_batch": -1}, "training.micro_batch must be at least 0, found -1"),
        (
            {"warmup_start_learning_rate": -1.0},
            "training.warmup_start_learning_rate must be at least 0, found -1",
        ),
        ({"new_layer_rate_factor": 0.0}, "training.new_layer_rate_factor must be positive, found 0"),
        ({"freeze_batch_norm": True, "sync_batch_norm": True}, "sync_batch_norm exclude each other; set one"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**settings)
