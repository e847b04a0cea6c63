"""The moving average of weights: against its definition, and through a training that is cut off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import Dataset

from runtime.settings import RuntimeConfig
from training import checkpoint
from training.average import WeightAverage
from training.batches import ItemKey
from training.loop import Trainer
from training.settings import TrainingConfig

CONFIG = TrainingConfig(epochs=3, batch_size=4, learning_rate=0.05, warmup_epochs=1, weight_average_decay=0.7)


@given(values=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30), decay=st.floats(0.01, 0.999))
def test_weights_count_by_their_age(values: list[float], decay: float) -> None:
    layer = nn.Linear(1, 1, bias=False)
    average = WeightAverage(layer, decay)
    for value in values:
        layer.weight.data.fill_(value)
        average.update(layer)
    shares = decay ** np.arange(len(values) - 1, -1, -1)
    expected = np.dot(shares, values) / shares.sum()
    assert average.state["weight"].item() == pytest.approx(expected, rel=1e-4, abs=1e-3)


class Points(Dataset[Tensor]):
    def __getitem__(self, key: ItemKey) -> Tensor:
        return torch.randn(4, generator=torch.Generator().manual_seed(1000 * key[0] + key[1]))


class Task:
    """Batch norm, a figure that tells the weights that were validated, and a cut."""

    num_items = 8  # 2 steps an epoch, 6 in all
    best_metric = ("figure", "max")

    def __init__(self, cut_off_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
        self.dataset, self.cut_off_at, self.seen = Points(), cut_off_at, []

    def losses(self, model: nn.Module, batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        if len(self.seen) == self.cut_off_at:
            raise InterruptedError
        self.seen.append({name: value.clone() for name, value in self.model.state_dict().items()})
        return {"loss": (model(batch)[:, 0] - batch.sum(1)).square().mean()}

    def validate(self) -> dict[str, float]:
        return {"figure": float(self.model[0].weight.sum())}


def _trainer(task: Task, folder: Path, config: TrainingConfig = CONFIG) -> Trainer:
    runtime, cpu = RuntimeConfig(checkpoint_every_s=0), torch.device("cpu")
    return Trainer(task, config, runtime, folder=folder, seed=1, device=cpu, resolved={})


def test_training_ends_with_the_average_and_validates_it(tmp_path: Path) -> None:
    task = Task()
    last = _trainer(task, tmp_path).run("test")
    # Weights after each step: those that the next one began with, and the checkpoint's after the
    # last.
    steps = [*task.seen[1:], checkpoint.load(tmp_path / "checkpoint.pt")["model"]]
    shares = torch.tensor([0.7**age for age in range(5, -1, -1)])
    for name in ("0.weight", "1.weight", "1.running_mean"):
        expected = sum(share * step[name] for share, step in zip(shares, steps, strict=True)) / shares.sum()
        torch.testing.assert_close(task.model.state_dict()[name], expected)
    assert last["figure"] == float(task.model[0].weight.detach().sum())
    assert task.model.state_dict()["1.num_batches_tracked"] == 6


def test_the_average_does_not_touch_the_training(tmp_path: Path) -> None:
    averaged, plain = Task(), Task()
    _trainer(averaged, tmp_path / "averaged").run("test")
    without = TrainingConfig(epochs=3, batch_size=4, learning_rate=0.05, warmup_epochs=1)
    _trainer(plain, tmp_path / "plain", without).run("test")
    for one, other in zip(averaged.seen, plain.seen, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("cut_off_at", range(6))
def test_a_run_cut_off_ends_with_the_same_average(cut_off_at: int, tmp_path: Path) -> None:
    whole, again = Task(), Task()
    _trainer(whole, tmp_path / "whole").run("test")
    with pytest.raises(InterruptedError):
        _trainer(Task(cut_off_at), tmp_path / "cut").run("test")
    _trainer(again, tmp_path / "cut").run("test")
    for found, expected in (
        (again.model.state_dict(), whole.model.state_dict()),
        *((checkpoint.load(tmp_path / run / "best.pt")["model"] for run in ("cut", "whole")),),
    ):
        assert all(torch.equal(found[name], expected[name]) for name in expected)
