"""One process against two: the same losses, every item once, the same end after a cut. The file is
also the script of the two processes: each trains the scenarios below and leaves what it found as
JSON."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

import training.loop
from runtime.settings import RuntimeConfig
from training import checkpoint, distributed
from training.batches import ItemKey
from training.device import prepare_device
from training.loop import Trainer
from training.settings import TrainingConfig

ROOT = Path(__file__).resolve().parents[2]
NUM_ITEMS = 24  # batches of 5, 5, 5, 5, 4 items: shares of 3 and 2, and of 2 and 2
BASE: dict[str, Any] = {"epochs": 10, "batch_size": 5, "learning_rate": 0.02, "warmup_epochs": 1}
SCENARIOS: dict[str, dict[str, Any]] = {
    "frozen": {**BASE, "clip_gradient_norm": 1.0, "freeze_batch_norm": True},
    "pieces": {**BASE, "clip_gradient_norm": 1.0, "freeze_batch_norm": True, "micro_batch": 2},
    "idle": {**BASE, "epochs": 2, "batch_size": 1, "freeze_batch_norm": True},  # process 1 has no share
    "live": {**BASE, "epochs": 4, "batch_size": 10, "micro_batch": 3},  # batch norm gathers statistics
    "bfloat16": {**BASE, "epochs": 4, "batch_size": 10, "precision": "bfloat16"},
}


class CutOffError(Exception):
    """Stands for `kill -9`."""


class Points(Dataset[dict[str, Tensor]]):
    """Inputs that depend on (epoch, item); remembers which were asked for."""

    def __init__(self) -> None:
        self.keys: list[ItemKey] = []

    def __getitem__(self, key: ItemKey) -> dict[str, Tensor]:
        self.keys.append(key)
        x = torch.randn(4, generator=torch.Generator().manual_seed(1000 * key[0] + key[1]))
        return {"x": x, "y": x.sum() + key[1] / NUM_ITEMS}


class StochasticDepth(nn.Module):
    """Drops items, as TAdaConvNeXt's branches are dropped."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x.new_empty(len(x), 1).bernoulli_(0.8) if self.training else x


class Task:
    """Batch norm, dropout and stochastic depth before a linear layer; validation shared among
    the processes."""

    def __init__(self, cut_off_at: int | None = None) -> None:
        torch.manual_seed(distributed.rank())  # the wrapper has to make the weights alike
        self.model = nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), StochasticDepth(), nn.Linear(8, 1)
        )
        self.dataset, self.num_items = Points(), NUM_ITEMS
        self.cut_off_at, self.calls = cut_off_at, 0

    def losses(
        self, model: nn.Module, batch: dict[str, Any], generator: torch.Generator
    ) -> dict[str, Tensor]:
        if self.calls == self.cut_off_at:
            raise CutOffError
        self.calls += 1
        error = (model(batch["x"])[:, 0] - batch["y"]).square()
        return {"loss": error.mean(), "largest_x": batch["x"].abs().mean()}

    def validate(self) -> dict[str, float]:
        mine = distributed.shard(range(7))
        figures = {f"part_{distributed.rank()}": 1.0, "sum": float(sum(mine))}
        predictions = [float(self.model(torch.full((1, 4), float(item)))) for item in mine]
        return distributed.sum_over_ranks({**figures, "prediction": sum(predictions)})


class Watched(Trainer):
    """Remembers the losses of every step."""

    steps: list[dict[str, float]]

    def _add_to_totals(self, losses: dict[str, float], items: int) -> None:
        self.steps = [*getattr(self, "steps", []), losses]
        super()._add_to_totals(losses, items)


def trainer(task: Task, folder: Path, config: dict[str, Any], every_s: float = 1e9) -> Watched:
    return Watched(
        task,
        TrainingConfig(**config),
        RuntimeConfig(checkpoint_every_s=every_s),
        folder=folder,
        seed=1,
        device=torch.device("cpu"),
        resolved={},
        remembered={f"video {distributed.rank()}": "damaged"},
    )


def run_scenarios(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """Train each scenario in a folder of its name; return what is worth comparing."""
    found = {}
    for name in names:
        task = Task()
        one = trainer(task, folder / name, SCENARIOS[name])
        last = one.run(name)
        weights = {key: value.double().tolist() for key, value in task.model.state_dict().items()}
        dtypes = sorted({str(parameter.dtype) for parameter in task.model.parameters()})
        found[name] = {
            "steps": one.steps,
            "last": last,
            "weights": weights,
            "keys": task.dataset.keys,
            "dtypes": dtypes,
        }
    return found


def cut_off_and_go_on(folder: Path) -> None:
    """Be cut off inside an epoch and a step, twice, and go on to the end."""
    for cut_off_at in (3, 5):
        try:
            trainer(Task(cut_off_at), folder, SCENARIOS["live"], every_s=0).run("cut")
        except CutOffError:
            continue
    trainer(Task(), folder, SCENARIOS["live"]).run("cut")


def main() -> None:
    """What each of the two processes does."""
    folder = Path(sys.argv[1])
    training.loop.draw_curves = lambda metrics, path: None  # takes longer than these trainings
    prepare_device(RuntimeConfig(device="cpu", threads=1, process_timeout_s=60))
    found = run_scenarios(folder, list(SCENARIOS))
    cut_off_and_go_on(folder / "cut")
    with distributed.main_first():
        there = (folder / "made_by_0").exists()
        (folder / "made_by_0").touch()
    found["found_what_0_made"] = there
    found["0_decides"] = distributed.main_decides(distributed.is_main())
    (folder / f"rank{distributed.rank()}.json").write_text(json.dumps(found), encoding="utf-8")
    torch.distributed.barrier()  # process 0 keeps the address at which they meet: it leaves last
    distributed.stop()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """What two processes found, and their folder."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "PYTHONPATH": str(ROOT)}
    numbers = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            env={**os.environ, **address, **number, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in numbers
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    return folder, [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process finds."""
    return run_scenarios(tmp_path_factory.mktemp("one"), ["frozen", "pieces", "idle"])


Two = tuple[Path, list[dict[str, Any]]]


@pytest.mark.parametrize(("name", "steps"), [("frozen", 50), ("pieces", 50), ("idle", 48)])
def test_two_processes_give_the_losses_and_weights_of_one(
    name: str, steps: int, one: dict[str, Any], two: Two
) -> None:
    assert len(one[name]["steps"]) == steps
    for found in two[1]:
        assert len(found[name]["steps"]) == steps
        for expected, step in zip(one[name]["steps"], found[name]["steps"], strict=True):
            assert step == pytest.approx(expected, rel=1e-4, abs=1e-5)
        for key, value in one[name]["weights"].items():
            torch.testing.assert_close(
                torch.tensor(found[name]["weights"][key]), torch.tensor(value), rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize("name", ["frozen", "pieces", "idle"])
def test_two_processes_give_the_epoch_means_of_one(name: str, one: dict[str, Any], two: Two) -> None:
    expected = {key: value for key, value in one[name]["last"].items() if key in ("loss", "largest_x")}
    for found in two[1]:
        assert {key: found[name]["last"][key] for key in expected} == pytest.approx(
            expected, rel=1e-4, abs=1e-5
        )


def test_pieces_give_the_losses_and_weights_of_whole_batches(one: dict[str, Any]) -> None:
    for expected, step in zip(one["frozen"]["steps"], one["pieces"]["steps"], strict=True):
        assert step == pytest.approx(expected, rel=1e-5, abs=1e-6)
    for key, value in one["frozen"]["weights"].items():
        torch.testing.assert_close(torch.tensor(one["pieces"]["weights"][key]), torch.tensor(value))


@pytest.mark.parametrize("name", ["frozen", "pieces"])
def test_two_processes_see_every_item_once_an_epoch(name: str, two: Two) -> None:
    keys = [[tuple(key) for key in found[name]["keys"]] for found in two[1]]
    assert sorted(keys[0] + keys[1]) == [(epoch, item) for epoch in range(10) for item in range(NUM_ITEMS)]
    assert len(keys[0]) == 10 * (3 + 3 + 3 + 3 + 2)


def test_validation_is_shared_and_its_figures_are_those_of_all(one: dict[str, Any], two: Two) -> None:
    for found in two[1]:
        assert found["frozen"]["last"]["sum"] == 21
        assert found["frozen"]["last"]["part_0"] == found["frozen"]["last"]["part_1"] == 1
        expected = one["frozen"]["last"]["prediction"]
        assert found["frozen"]["last"]["prediction"] == pytest.approx(expected, rel=1e-3)
    # With statistics of its own, process 1 would validate with another network.
    assert two[1][0]["live"]["last"] == two[1][1]["live"]["last"]
    assert two[1][0]["live"]["weights"] == two[1][1]["live"]["weights"]


def test_two_processes_cut_off_end_like_whole_ones(two: Two) -> None:
    folder, _ = two
    expected, found = (checkpoint.load(folder / name / "checkpoint.pt") for name in ("live", "cut"))
    assert found["step"] == expected["step"] == 12
    assert all(torch.equal(found["model"][name], tensor) for name, tensor in expected["model"].items())
    metrics = [(folder / name / "metrics.jsonl").read_bytes() for name in ("live", "cut")]
    assert metrics[0] == metrics[1]


def test_what_every_process_remembers_is_kept(two: Two) -> None:
    remembered = checkpoint.load(two[0] / "live" / "checkpoint.pt")["remembered"]
    assert remembered == {"video 0": "damaged", "video 1": "damaged"}


def test_process_0_goes_first_and_decides(two: Two) -> None:
    assert [found["found_what_0_made"] for found in two[1]] == [False, True]
    assert [found["0_decides"] for found in two[1]] == [True, True]


def test_bfloat16_trains_float32_weights(two: Two) -> None:
    found = two[1][0]["bfloat16"]
    assert found["dtypes"] == ["torch.float32"]
    losses = [step["loss"] for step in found["steps"]]
    assert all(0 < loss < 100 for loss in losses)
    assert losses != [step["loss"] for step in two[1][0]["live"]["steps"]]


if __name__ == "__main__":
    main()
