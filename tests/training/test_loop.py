"""The training loop on a task of a few numbers: what it computes, and that a cut-off run ends
like a whole one."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from runtime.errors import InputError
from runtime.settings import RuntimeConfig
from training import checkpoint
from training.batches import epoch_batches
from training.loop import ItemKey, Trainer
from training.schedule import cosine_learning_rate
from training.settings import TrainingConfig

CONFIG = TrainingConfig(
    epochs=4,
    batch_size=3,
    learning_rate=0.05,
    warmup_epochs=1,
    clip_gradient_norm=1.0,
    validate_every_epochs=2,
)
NUM_ITEMS = 10  # 4 steps an epoch, 16 in all


class CutOffError(Exception):
    """Stands for `kill -9`."""


class Points(Dataset[dict[str, Tensor]]):
    """Inputs that depend on (epoch, item), as random clips do."""

    def __init__(self) -> None:
        self.keys: list[ItemKey] = []

    def __getitem__(self, key: ItemKey) -> dict[str, Tensor]:
        self.keys.append(key)
        generator = torch.Generator().manual_seed(1000 * key[0] + key[1])
        x = torch.randn(4, generator=generator)
        return {"x": x, "y": x.sum() + key[1] / NUM_ITEMS}


class LinearTask:
    """Dropout, batch norm and a loss that samples: all that carries randomness or state in a
    real task."""

    def __init__(self, cut_off_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.dataset = Points()
        self.num_items = NUM_ITEMS
        self.cut_off_at, self.calls, self.batches = cut_off_at, 0, []

    def losses(
        self, model: nn.Module, batch: dict[str, Any], generator: torch.Generator
    ) -> dict[str, Tensor]:
        if self.calls == self.cut_off_at:
            raise CutOffError
        self.calls += 1
        self.batches.append(batch["x"])
        weights = torch.rand(len(batch["y"]), generator=generator)
        error = (model(batch["x"])[:, 0] - batch["y"]).square()
        return {"loss": (weights * error).mean(), "error": error.mean()}

    def validate(self) -> dict[str, float]:
        assert not self.model.training
        assert torch.is_inference_mode_enabled()
        return {"validation_error": float(self.model(torch.ones(1, 4)))}


def _trainer(
    task: LinearTask, folder: Path, config: TrainingConfig = CONFIG, seed: int = 1, every_s: float = 0.0
) -> Trainer:
    runtime = RuntimeConfig(checkpoint_every_s=every_s)
    cpu = torch.device("cpu")
    return Trainer(task, config, runtime, folder=folder, seed=seed, device=cpu, resolved={"seed": seed})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[LinearTask, Path]:
    """An uninterrupted run."""
    task, folder = LinearTask(), tmp_path_factory.mktemp("whole")
    _trainer(task, folder).run("test")
    return task, folder


def _assert_same(task: LinearTask, folder: Path, whole: tuple[LinearTask, Path]) -> None:
    expected = whole[0].model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in task.model.state_dict().items())
    name = "metrics.jsonl"
    assert (folder / name).read_bytes() == (whole[1] / name).read_bytes()


@pytest.mark.parametrize("cut_off_at", range(17))
def test_a_run_cut_off_at_any_step_ends_like_a_whole_one(
    cut_off_at: int, tmp_path: Path, whole: tuple[LinearTask, Path]
) -> None:
    if cut_off_at < 16:
        with pytest.raises(CutOffError):
            _trainer(LinearTask(cut_off_at), tmp_path).run("test")
    else:
        _trainer(LinearTask(), tmp_path).run("test")  # complete: the second start has nothing left to do
    task = LinearTask()
    torch.manual_seed(cut_off_at)  # another process would have another state
    _trainer(task, tmp_path).run("test")
    assert task.calls == 16 - cut_off_at
    _assert_same(task, tmp_path, whole)


def test_a_run_cut_off_again_and_again_ends_like_a_whole_one(
    tmp_path: Path, whole: tuple[LinearTask, Path]
) -> None:
    rng = random.Random(0)
    for _ in range(100):
        task = LinearTask(cut_off_at=rng.randrange(3))
        try:
            _trainer(task, tmp_path).run("test")
            break
        except CutOffError:
            continue
    _assert_same(task, tmp_path, whole)


def test_steps_behind_the_last_checkpoint_are_repeated(
    tmp_path: Path, whole: tuple[LinearTask, Path]
) -> None:
    with pytest.raises(CutOffError):
        _trainer(LinearTask(3), tmp_path).run("test")
    with pytest.raises(CutOffError):  # passes the end of epoch 1, writes its metrics, but no checkpoint
        _trainer(LinearTask(4), tmp_path, every_s=1e9).run("test")
    task = LinearTask()
    _trainer(task, tmp_path).run("test")
    assert task.calls == 16 - 3
    _assert_same(task, tmp_path, whole)


def test_checkpoints_change_nothing(tmp_path: Path, whole: tuple[LinearTask, Path]) -> None:
    task = LinearTask()
    _trainer(task, tmp_path, every_s=1e9).run("test")
    _assert_same(task, tmp_path, whole)


def test_another_seed_gives_another_result(tmp_path: Path, whole: tuple[LinearTask, Path]) -> None:
    task = LinearTask()
    _trainer(task, tmp_path, seed=2).run("test")
    assert not torch.equal(task.model[0].weight, whole[0].model[0].weight)


def test_every_epoch_shows_every_item_in_the_order_of_the_batches(whole: tuple[LinearTask, Path]) -> None:
    task, _ = whole
    expected = [
        (epoch, int(item))
        for epoch in range(4)
        for batch in epoch_batches(NUM_ITEMS, 3, seed=1, epoch=epoch)
        for item in batch
    ]
    assert task.dataset.keys == expected
    first = torch.stack([Points()[key]["x"] for key in expected[: len(task.batches[0])]])
    assert torch.equal(task.batches[0], first)


def test_one_line_an_epoch_with_rate_means_and_validation(whole: tuple[LinearTask, Path]) -> None:
    lines = [json.loads(line) for line in (whole[1] / "metrics.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["step"]) for line in lines] == [(1, 4), (2, 8), (3, 12), (4, 16)]
    assert ["validation_error" in line for line in lines] == [False, True, False, True]
    assert all(line["loss"] > 0 and line["error"] > 0 for line in lines)
    last = cosine_learning_rate(15 / 4, base=0.05, epochs=4, warmup_epochs=1, warmup_start=1e-5)
    assert lines[-1]["learning_rate"] == last


def test_every_item_counts_alike_in_the_means_of_an_epoch(tmp_path: Path) -> None:
    class Numbered(LinearTask):
        def losses(
            self, model: nn.Module, batch: dict[str, Any], generator: torch.Generator
        ) -> dict[str, Tensor]:
            number = NUM_ITEMS * (batch["y"] - batch["x"].sum(1))
            return {**super().losses(model, batch, generator), "number": number.mean()}

    trainer = _trainer(Numbered(), tmp_path)  # batches of 3, 3, 2, 2 items
    trainer.run("test")
    assert [line["number"] for line in trainer.metrics] == pytest.approx(
        [np.mean(range(NUM_ITEMS))] * 4, abs=1e-4
    )


def test_a_step_is_that_of_plain_pytorch(tmp_path: Path) -> None:
    """Without dropout and sampling, against AdamW called by hand."""

    class PlainTask(LinearTask):
        def losses(
            self, model: nn.Module, batch: dict[str, Any], generator: torch.Generator
        ) -> dict[str, Tensor]:
            return {"loss": (model(batch["x"])[:, 0] - batch["y"]).square().mean()}

        def validate(self) -> dict[str, float]:
            return {}

    config = TrainingConfig(
        epochs=2, batch_size=5, learning_rate=0.05, warmup_epochs=0, clip_gradient_norm=0.3
    )
    task, by_hand = PlainTask(), PlainTask()
    for each in (task, by_hand):
        each.model = nn.Linear(4, 1)
        nn.init.constant_(each.model.weight, 0.5)
        nn.init.zeros_(each.model.bias)
    _trainer(task, tmp_path, config).run("test")
    weight, bias = by_hand.model.weight, by_hand.model.bias
    groups = [{"params": [weight], "weight_decay": 1e-4}, {"params": [bias], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1.0)
    for step in range(4):
        epoch, place = divmod(step, 2)
        items = epoch_batches(NUM_ITEMS, 5, seed=1, epoch=epoch)[place]
        samples = [by_hand.dataset[(epoch, int(item))] for item in items]
        x, y = (torch.stack([sample[key] for sample in samples]) for key in ("x", "y"))
        rate = cosine_learning_rate(step / 2, base=0.05, epochs=2, warmup_epochs=0, warmup_start=0)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        (by_hand.model(x)[:, 0] - y).square().mean().backward()
        nn.utils.clip_grad_norm_(by_hand.model.parameters(), 0.3)
        optimizer.step()
    torch.testing.assert_close(task.model.weight, weight, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(task.model.bias, bias, rtol=1e-6, atol=1e-7)


def test_loader_processes_change_nothing(tmp_path: Path, whole: tuple[LinearTask, Path]) -> None:
    task = LinearTask()
    trainer = _trainer(task, tmp_path, every_s=1e9)
    trainer.runtime = RuntimeConfig(loader_workers=2, checkpoint_every_s=1e9)
    trainer.run("test")
    _assert_same(task, tmp_path, whole)


def test_the_checkpoint_holds_the_config_and_loads_without_pickle(whole: tuple[LinearTask, Path]) -> None:
    content = checkpoint.load(whole[1] / "checkpoint.pt")
    assert content["config"] == {"seed": 1}
    assert content["step"] == 16


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path, value: float) -> None:
    class Exploding(LinearTask):
        def losses(
            self, model: nn.Module, batch: dict[str, Any], generator: torch.Generator
        ) -> dict[str, Tensor]:
            found = super().losses(model, batch, generator)
            return {"loss": found["loss"] * (value if self.calls == 6 else 1.0)}

    message = r"the loss at step 5 is not finite: loss=(nan|inf); .* Lower learning_rate=0.05"
    with pytest.raises(InputError, match=message):
        _trainer(Exploding(), tmp_path).run("test")
    state = checkpoint.load(tmp_path / "checkpoint.pt")
    assert state["step"] == 5
    assert all(torch.isfinite(tensor).all() for tensor in state["model"].values())


def test_an_empty_training_set_is_refused(tmp_path: Path) -> None:
    task = LinearTask()
    task.num_items = 0
    with pytest.raises(InputError, match="the training set is empty: no usable labelled segment was found"):
        _trainer(task, tmp_path)


def test_what_a_task_remembers_survives_a_restart(tmp_path: Path) -> None:
    first = _trainer(LinearTask(), tmp_path)
    first.remembered["cat"] = "cut short"
    first.run("test")
    remembered: dict[str, str] = {}
    second = _trainer(LinearTask(), tmp_path)
    second.remembered = remembered
    second.run("test")
    assert remembered == {"cat": "cut short"}
