"""Training of a tiny head: exact resume, pieces of a batch, and what is left for inference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from feature_extraction import FeatureStore
from feature_extraction.store import write_video_features
from one_stage.head import load_head, released_length
from one_stage.network import OneStageNetwork
from one_stage.samples import CropSamples, LabelledVideo
from one_stage.settings import OneStageConfig
from one_stage.train import OneStageTask
from one_stage.weights import configured_architecture, save_one_stage
from runtime.settings import RuntimeConfig
from training import checkpoint
from training.loop import Trainer
from video_datasets.time_grid import TimeGrid

GRID = TimeGrid(fps=30, stride_frames=15)
KINDS = ("actionformer", "temporalmaxer", "tridet")


def config(**words: object) -> OneStageConfig:
    settings = {
        "epochs": 3, "batch_size": 4, "warmup_epochs": 1.0, "learning_rate": 1e-3, "channels": 16, "heads": 2,
        "levels": 3, "window": 5, "max_length": 32, "bins": 4, "sgp_mlp_channels": 16, "first_normalizer": 10.0,
        "weight_average_decay": 0.9, "sgp_init_std": 0.1, "sgp_widening": 3.0, "validate_every_epochs": 2,
    }  # fmt: skip
    return OneStageConfig(**(settings | words))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Six videos whose segment is where the first channel is 1."""
    folder = tmp_path_factory.mktemp("features")
    for video in range(6):
        features_TC = np.random.default_rng(video).normal(0, 0.1, (24 + video, 8)).astype(np.float32)
        features_TC[6 + video : 14 + video, 0] += 1.0
        times_s = GRID.feature_to_seconds(np.arange(len(features_TC)))
        attributes = {"duration_s": len(features_TC) / 2}
        write_video_features(
            folder, f"v{video}", features_TC, times_s, GRID, attributes=attributes, dtype="float32"
        )
    return FeatureStore(folder)


def task(kind: str, store: FeatureStore, settings: OneStageConfig) -> OneStageTask:
    torch.manual_seed(0)
    network = OneStageNetwork(configured_architecture(kind, 8, (2,), settings))
    videos = [
        LabelledVideo(f"v{video}", np.array([(3.0 + video / 2, 7.0 + video / 2)]), np.array([[video % 2]]))
        for video in range(6)
    ]
    training, validation = (
        CropSamples(part, store, network.arch, settings, length=32, seed=1, augmented=augmented)
        for part, augmented in ((videos, True), (videos[:2], False))
    )
    return OneStageTask(network, training, validation, settings)


def trainer(made: OneStageTask, folder: Path, settings: OneStageConfig, every_s: float = 1e9) -> Trainer:
    runtime = RuntimeConfig(checkpoint_every_s=every_s)
    return Trainer(made, settings, runtime, folder=folder, seed=1, device=torch.device("cpu"), resolved={})


class CutOffError(Exception):
    """Stands for `kill -9`."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_off_training_ends_bit_equal(kind: str, store: FeatureStore, tmp_path: Path) -> None:
    settings = config()
    whole = task(kind, store, settings)
    trainer(whole, tmp_path / "whole", settings).run("test")

    broken = task(kind, store, settings)
    calls, begin = [], broken.begin_step

    def begin_step(*arguments: object) -> None:
        if len(calls) == 3:
            raise CutOffError
        calls.append(None)
        begin(*arguments)

    broken.begin_step = begin_step
    with pytest.raises(CutOffError):
        trainer(broken, tmp_path / "broken", settings, every_s=0.0).run("test")
    again = task(kind, store, settings)
    trainer(again, tmp_path / "broken", settings).run("test")

    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name
    kept = checkpoint.load(tmp_path / "whole" / "checkpoint.pt")
    assert kept["model"]["loss_normalizer"] != 10.0
    assert not torch.equal(
        kept["average"]["state"]["reg_head.offset_head.conv.weight"],
        kept["model"]["reg_head.offset_head.conv.weight"],
    )


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_of_a_batch_train_alike(kind: str, store: FeatureStore, tmp_path: Path) -> None:
    found = []
    for micro_batch in (0, 1):
        settings = config(micro_batch=micro_batch, epochs=1, drop_path=0.5, input_dropout=0.5)
        made = task(kind, store, settings)
        trainer(made, tmp_path / str(micro_batch), settings).run("test")
        found.append(checkpoint.load(tmp_path / str(micro_batch) / "checkpoint.pt")["model"])
    assert found[0]["loss_normalizer"] == found[1]["loss_normalizer"]
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name], rtol=1e-3, atol=2e-5)


def test_bfloat16_trains(store: FeatureStore, tmp_path: Path) -> None:
    for kind in KINDS:
        settings = config(precision="bfloat16", epochs=1)
        last = trainer(task(kind, store, settings), tmp_path / kind, settings).run("test")
        assert np.isfinite(last["loss"])


def test_a_trained_head_finds_what_it_learnt(store: FeatureStore, tmp_path: Path) -> None:
    settings = config(epochs=25, learning_rate=3e-3, window=9)
    made = task("actionformer", store, settings)
    trainer(made, tmp_path / "run", settings).run("test")
    save_one_stage(tmp_path / "weights.pt", made.model, GRID, {"action": ("even", "odd")}, {})
    head = load_head(tmp_path, settings, torch.device("cpu"))
    assert (head.in_channels, head.grid, head.labels) == (8, GRID, ("even", "odd"))
    found = head.candidates(store, "v3")
    start_s, end_s = found.segments_s[found.scores.argmax()]
    assert (start_s, end_s) == (pytest.approx(4.5, abs=1.0), pytest.approx(8.5, abs=1.0))


def test_released_networks_see_their_own_padding() -> None:
    arch = configured_architecture("actionformer", 8, (2,), config(window=19, max_length=2304))
    assert released_length(arch, 100) == 2304
    assert released_length(arch, 2305) == 2376  # the next multiple of 4 * 18
