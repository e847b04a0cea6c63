"""The map over the videos of a stage: the same bytes from any number of processes, and videos that
fail."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bmn import BMN
from bmn.head import BmnHead
from bmn.weights import TrainedBmn
from classification.labels import LabelVideo
from classification.sources import VideoSource
from feature_extraction import FeatureStore
from feature_extraction.store import write_video_features
from one_stage.architecture import Architecture
from one_stage.head import OneStageHead
from one_stage.network import OneStageNetwork
from one_stage.weights import TrainedOneStage
from pipeline.stages import SETTINGS
from proposals.propose import PROPOSALS, ProposeVideo
from proposals.video_loop import VideoResults, finish_videos
from runtime import item_map
from runtime.errors import InputError
from runtime.sections import RunConfig, run_config
from runtime.settings import RuntimeConfig
from runtime.stage import StageRun
from tadaconv.heads import ClassificationHead
from video_datasets.predictions import Predictions, concatenate, write_predictions
from video_datasets.time_grid import TimeGrid

VIDEOS = tuple(f"v{number}" for number in range(6))
GRID, CHANNELS, CPU = TimeGrid(), 8, torch.device("cpu")
assert SETTINGS  # all sections are registered


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    folder = tmp_path_factory.mktemp("features")
    generator = np.random.default_rng(0)
    for number, name in enumerate(VIDEOS):
        frames = 200 + 90 * number
        count = len(GRID.times_s(frames))
        write_video_features(
            folder,
            name,
            generator.normal(size=(count, CHANNELS)).astype(np.float32),
            GRID.times_s(frames),
            GRID,
            attributes={"duration_s": frames / GRID.fps},
        )
    return FeatureStore(folder)


def bmn_proposals(store: FeatureStore) -> Any:
    torch.manual_seed(0)
    config = run_config(run_dir="unused")
    model = BMN(CHANNELS, tscale=16, dscale=16, num_samples=4).eval()
    return ProposeVideo(store, BmnHead(TrainedBmn(model, GRID, None), config.proposals, CPU), config)


def one_stage_proposals(store: FeatureStore) -> Any:
    torch.manual_seed(0)
    config = run_config(run_dir="unused", head="actionformer")
    sizes = {"channels": 16, "regression_ranges": ((0, 4), (4, 10000)), "windows": (3, 3), "heads": 2}
    network = OneStageNetwork(
        Architecture(kind="actionformer", in_channels=CHANNELS, class_towers=(2,), **sizes)
    )
    trained = TrainedOneStage(network.eval(), GRID, {"action": ("run", "sit")})
    return ProposeVideo(store, OneStageHead(trained, config.one_stage, CPU, ("run", "sit")), config)


@dataclass(frozen=True)
class Labels:
    """Proposes in a video and labels what it finds."""

    propose: ProposeVideo
    label: LabelVideo

    def __call__(self, video_id: str) -> VideoResults:
        return self.label(self.propose(video_id)[PROPOSALS])


def bmn_labels(store: FeatureStore) -> Labels:
    propose = bmn_proposals(store)
    head = ClassificationHead(CHANNELS, 3).eval()
    source = VideoSource(store, head, temperature=2.0, top_proposals=5)
    classes = {"action": ("run", "sit", "jump")}
    return Labels(propose, LabelVideo(source, classes, propose.config.classification))


def run_in(folder: Path, **runtime: Any) -> StageRun:
    config: RunConfig = run_config(run_dir=str(folder), runtime=RuntimeConfig(**runtime))
    (folder / "stage").mkdir(parents=True, exist_ok=True)
    return StageRun(config, folder / "stage")


def written(run: StageRun, work: Callable[[str], VideoResults]) -> bytes:
    """Do all videos, and return the file of what was found."""
    with finish_videos(run, {name: name for name in VIDEOS}, work) as found:
        parts = [part for results in found.values() for part in results.values()]
        write_predictions(run.folder / "found.h5", concatenate(parts))
        assert list(found) == [name for name in VIDEOS if name not in run.skipped]
    assert [path.name for path in run.folder.iterdir()] == ["found.h5"]  # nothing else is left
    return (run.folder / "found.h5").read_bytes()


@pytest.mark.parametrize("make", [one_stage_proposals, bmn_labels])
def test_two_workers_give_the_bytes_of_one(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[..., Any]
) -> None:
    one = written(run_in(tmp_path / "1", workers=1), make(store))
    monkeypatch.setattr(item_map, "HERE_S", 0.0)
    assert written(run_in(tmp_path / "2", workers=2), make(store)) == one


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_workers_of_a_cluster_give_the_bytes_of_one(store: FeatureStore, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    one = written(run_in(tmp_path / "1", workers=1), KillsItselfOver("v2", bmn_labels(store), False))
    with distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster:
        run = run_in(tmp_path / "2", scheduler=cluster.scheduler_address)
        assert written(run, KillsItselfOver("v2", bmn_labels(store), False)) == one
        killed = run_in(tmp_path / "3", scheduler=cluster.scheduler_address)
        written(killed, KillsItselfOver("v2", bmn_labels(store), True))
    assert killed.skipped == {"v2": "the process that worked on it was killed, twice (out of memory?)"}


@dataclass(frozen=True)
class KillsItselfOver:
    """Kills its process over one video."""

    poison: str
    work: Callable[[str], VideoResults]
    really: bool = True

    def __call__(self, video_id: str) -> VideoResults:
        if self.really and video_id == self.poison:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.work(video_id)


def one_row(video_id: str) -> VideoResults:
    return {"proposals": Predictions.of_video(video_id, [(0.0, 1.0)], [0.5])}


def test_a_video_that_kills_its_worker_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_map, "HERE_S", 0.0)
    run = run_in(tmp_path, workers=2)
    written(run, KillsItselfOver("v3", one_row))
    assert run.skipped == {"v3": "the process that worked on it was killed, twice (out of memory?)"}


def test_a_video_over_which_an_earlier_command_was_killed_is_done_in_a_process_of_its_own(
    tmp_path: Path,
) -> None:
    pid = os.fork()
    if not pid:
        written(run_in(tmp_path, workers=1), KillsItselfOver("v3", one_row))
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    run = run_in(tmp_path, workers=1)
    written(run, KillsItselfOver("v3", one_row))
    assert run.skipped == {"v3": "the process that worked on it was killed, twice (out of memory?)"}


@dataclass(frozen=True)
class Noted:
    """Notes which videos it was given; fails over one of them."""

    folder: Path
    fails_over: str = ""
    error: type[Exception] = RuntimeError

    def __call__(self, video_id: str) -> VideoResults:
        (self.folder / video_id).touch(exist_ok=False)
        if video_id == self.fails_over:
            raise self.error("this one")
        return one_row(video_id)


def test_a_cut_off_stage_goes_on_with_what_is_not_finished(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    whole = written(run_in(tmp_path / "whole", workers=1), one_row)
    run = run_in(tmp_path / "run", workers=1)
    with pytest.raises(RuntimeError, match="this one"):
        written(run, Noted(first, "v3"))
    done = {path.stem for path in (run.folder / "videos").glob("*.npz")}
    assert done == {"v0", "v1", "v2"}
    assert written(run, Noted(second)) == whole
    assert {path.name for path in second.iterdir()} == set(VIDEOS) - done


def test_a_fault_of_the_video_is_listed_in_the_order_of_the_videos(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    run = run_in(tmp_path / "run", workers=1)
    written(run, Noted(tmp_path / "notes", "v1", InputError))
    assert run.skipped == {"v1": "this one"}


def test_a_configuration_comes_back_from_another_process() -> None:
    config = run_config(run_dir="a", seed=3, runtime=replace(RuntimeConfig(), workers=5))
    assert pickle.loads(pickle.dumps(config)) == config
