"""Kill the pipeline at random moments, start it again, and compare with an uninterrupted run,
bit for bit."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from video_datasets.mini import MiniSize, ensure_mini

ROOT = Path(__file__).resolve().parents[1]
STAGES = {
    "finetune": "classification.finetune",
    "features": "feature_extraction",
    "bmn": "bmn",
    "proposals": "proposals",
    "classification": "classification",
    "evaluation": "evaluation",
}
SETTINGS = (
    "data.mini=false",
    "finetune.epochs=3",
    "finetune.batch_size=8",
    "finetune.validate_every_epochs=3",
    "bmn.epochs=4",
    "bmn.tscale=16",
    "bmn.dscale=16",
    "evaluation.timelines=1",
    "runtime.threads=1",
    "runtime.checkpoint_every_s=0.05",  # so that kills fall between checkpoints, and behind the first
)


@dataclass(frozen=True)
class Data:
    """A mini data set.

    Attributes:
        layout: "hacs" or "ek100".
        root: its folder.
    """

    layout: str
    root: Path

    def run_dir(self, name: str) -> Path:
        return self.root.parent / name


SIZES = {
    "hacs": MiniSize(training=16, validation=8, testing=2, duration_s=(4.0, 8.0)),
    "ek100": MiniSize(training=4, validation=4, testing=2, duration_s=(5.0, 8.0)),
}


@pytest.fixture(
    scope="module",
    params=["hacs", pytest.param("ek100", marks=[pytest.mark.slow, pytest.mark.timeout(3600)])],
)
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Data:
    layout = request.param
    root = tmp_path_factory.mktemp(f"resume_{layout}") / "data"
    ensure_mini(root, layout=layout, seed=3, size=SIZES[layout])
    return Data(layout, root)


@pytest.fixture(scope="module")
def uninterrupted(data: Data) -> Path:
    run_dir = data.run_dir("uninterrupted")
    _finish(data, run_dir)
    return run_dir


def _start(data: Data, run_dir: Path) -> subprocess.Popen[bytes]:
    """Start all stages, one after the other, in a process group of their own."""
    config = f"configs/{data.layout}_mini.yaml"
    words = [config, *SETTINGS, f"data.root={data.root}", f"run_dir={run_dir}"]
    code = (
        "import subprocess, sys\n"
        f"for stage in {tuple(STAGES)!r}:\n"
        "    code = subprocess.call([sys.executable, '-m', 'pipeline.run_one', stage, *sys.argv[1:]])\n"
        "    if code: sys.exit(code)\n"
    )
    with data.run_dir(f"{run_dir.name}.log").open("ab") as log:
        command = [sys.executable, "-c", code, *words]
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)


def _kill_within(stage: str, data: Data, run_dir: Path, delay_s: float) -> bool:
    """Start the run and kill it `delay_s` after a stage has begun; return whether that stage was
    cut off."""
    process = _start(data, run_dir)
    record = run_dir / stage / "stage.json"
    while process.poll() is None and not record.is_file():
        time.sleep(0.01)
    time.sleep(delay_s)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return bool(json.loads(record.read_text())["state"] == "running")


def _finish(data: Data, run_dir: Path) -> None:
    assert _start(data, run_dir).wait() == 0, data.run_dir(f"{run_dir.name}.log").read_text()[-3000:]


def _same_results(one: Path, other: Path) -> None:
    for name in (
        "metrics.json",
        "finetune/metrics.jsonl",
        "bmn/metrics.jsonl",
        "classification/detections.json",
    ):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    for name in ("finetune/weights.pt", "bmn/weights.pt"):
        weights = [torch.load(run / name, weights_only=True)["model"] for run in (one, other)]
        assert weights[0].keys() == weights[1].keys()
        assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0]), name
    with h5py.File(one / "features/features.h5") as a, h5py.File(other / "features/features.h5") as b:
        assert list(a) == list(b)
        assert all(np.array_equal(a[video][()], b[video][()]) for video in a if video != "_times")
    assert not list(other.rglob("*.part"))


def test_a_run_killed_in_three_stages_ends_like_an_uninterrupted_one(data: Data, uninterrupted: Path) -> None:
    rng = random.Random(0)
    run_dir = data.run_dir("killed")
    cut_off = [
        _kill_within(stage, data, run_dir, rng.uniform(0.0, 2.5)) for stage in ("finetune", "features", "bmn")
    ]
    assert any(cut_off)
    _finish(data, run_dir)
    _same_results(uninterrupted, run_dir)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_thirty_kills_over_all_stages(data: Data, uninterrupted: Path) -> None:
    rng = random.Random(1)
    cut_off = []
    for attempt in range(5):
        run_dir = data.run_dir(f"killed-{attempt}")
        for stage in STAGES:
            if _kill_within(stage, data, run_dir, rng.uniform(0.0, 4.0)):
                cut_off.append(stage)
        _finish(data, run_dir)
        _same_results(uninterrupted, run_dir)
    print({stage: cut_off.count(stage) for stage in STAGES})
    assert set(cut_off) == set(STAGES)
