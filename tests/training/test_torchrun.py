"""A training stage under torchrun: an error of one process ends all, the next start goes on, a
third has nothing to do.

The file is also the stage's command.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from runtime.command import stage_command
from runtime.stage import StageRun, StageSpec, read_record
from training import checkpoint, distributed
from training.batches import ItemKey
from training.device import prepare_device
from training.loop import stage_trainer

ROOT = Path(__file__).resolve().parents[2]


def idle(run: StageRun) -> None:
    """Do nothing."""


SPEC = StageSpec(name="toy", command="toy", sections=("seed", "bmn"), weights="weights.pt", work=idle)


class Ones(Dataset[Tensor]):
    """The same input for every item."""

    def __getitem__(self, key: ItemKey) -> Tensor:
        return torch.ones(2)


class Toy:
    """A linear layer; one process fails when it is told to."""

    num_items = 8

    def __init__(self) -> None:
        self.model, self.dataset, self.calls = nn.Linear(2, 1), Ones(), 0

    def losses(self, model: nn.Module, batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        self.calls += 1
        if self.calls == 4 and os.environ.get("FAIL_ON_RANK") == str(distributed.rank()):
            raise RuntimeError("this process is broken")
        return {"loss": model(batch).square().mean()}

    def validate(self) -> dict[str, float]:
        return {}


def work(run: StageRun) -> None:
    """Train, leave weights, list one skipped video."""
    device = prepare_device(run.config.runtime)
    task = Toy()
    stage_trainer(run, task, run.config.bmn, device).run("toy")
    checkpoint.save(run.folder / "weights.pt", task.model.state_dict())
    run.skip("vid", "damaged")
    run.summary = "trained"


def _torchrun(config: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=2",
        __file__,
        "--config",
        str(config),
    ]
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
def test_error_then_going_on_then_nothing_to_do(tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(
        f"run_dir: {tmp_path / 'run'}\n"
        f"data: {{root: {tmp_path}}}\n"
        "bmn: {epochs: 3, batch_size: 3}\n"
        "runtime: {device: cpu, threads: 1, checkpoint_every_s: 0}\n",
        encoding="utf-8",
    )
    folder = tmp_path / "run" / "toy"

    failed = _torchrun(config, FAIL_ON_RANK="1")
    assert failed.returncode != 0
    assert "RuntimeError: this process is broken" in failed.stderr
    assert read_record(folder)["state"] == "cut off"
    assert checkpoint.load(folder / "checkpoint.pt")["step"] == 3

    trained = _torchrun(config)
    assert trained.returncode == 0, trained.stderr
    assert trained.stderr.count("toy: trained [") == 1
    assert trained.stderr.count("vid: damaged") == 1
    assert trained.stderr.count("2 processes on cpu, batches of 3 items, 2 a forward") == 1
    assert "step 3 of 9" in trained.stderr
    assert read_record(folder)["state"] == "complete"
    weights = (folder / "weights.pt").read_bytes()

    idle = _torchrun(config)
    assert idle.returncode == 0
    assert idle.stderr.count("toy: complete, nothing to do (trained)") == 1
    assert (folder / "weights.pt").read_bytes() == weights


if __name__ == "__main__":
    sys.exit(
        stage_command(
            replace(SPEC, work=work, description="Train a toy."),
            {},
        )
    )
