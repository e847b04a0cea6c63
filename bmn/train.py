"""Training of BMN on a feature store: the work of the stage `bmn`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from bmn.losses import bmn_loss
from bmn.model import BMN
from bmn.samples import WholeVideoSamples
from feature_extraction import FeatureStore
from feature_extraction.checks import check_store
from runtime.schema import BmnConfig
from runtime.stage import StageRun
from training import checkpoint
from training.batches import derived_seed
from training.device import prepare_device
from training.loop import stage_trainer
from video_datasets.dataset import Segment, Video, load_dataset, segment_problem
from video_datasets.time_grid import TimeGrid

ARCHITECTURE_KEYS = (
    "tscale",
    "dscale",
    "num_samples",
    "num_samples_per_bin",
    "boundary_ratio",
    "hidden_1d",
    "hidden_2d",
    "hidden_3d",
)


def build_bmn(in_channels: int, config: BmnConfig) -> BMN:
    """Return a BMN of the configured sizes."""
    return BMN(in_channels, **_architecture(config))


class BmnTask:
    """BMN, its samples and its losses, for the training loop."""

    def __init__(self, model: BMN, training: WholeVideoSamples, validation: WholeVideoSamples) -> None:
        self.model = model
        self.dataset = training
        self.num_items = len(training)
        self.validation = validation

    def losses(
        self, model: nn.Module, batch: dict[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Return the three losses and their weighted sum."""
        outputs = model(batch["features"])
        return bmn_loss(outputs, batch["start"], batch["end"], batch["iou_map"], generator=generator)

    def validate(self) -> dict[str, float]:
        """Return the mean losses over the validation videos, drawn alike every time."""
        if not len(self.validation):
            return {}
        device = next(self.model.parameters()).device
        keys = [(0, item) for item in range(len(self.validation))]
        totals: dict[str, float] = {}
        for batch in DataLoader(self.validation, sampler=keys, batch_size=1):
            moved = {name: value.to(device) for name, value in batch.items()}
            for name, value in self.losses(self.model, moved, torch.Generator(device).manual_seed(0)).items():
                totals[f"validation_{name}"] = totals.get(f"validation_{name}", 0.0) + float(value)
        return {name: total / len(keys) for name, total in totals.items()}


def train(run: StageRun) -> None:
    """Train BMN on the training subset; leaves weights.pt, checkpoint.pt and metrics.jsonl in the folder."""
    config, data = run.config.bmn, run.config.data
    device = prepare_device(run.config.runtime)
    store = FeatureStore(run.upstream("features"))
    dataset = load_dataset(data)
    run.skipped.update(dataset.problems)
    training = _usable(dataset.subset(data.training_subset), store, run)
    validation = _usable(dataset.subset(data.validation_subset), store, run)

    in_channels = check_store(store, TimeGrid.from_config(run.config.grid))
    torch.manual_seed(derived_seed(run.config.seed, 0))
    task = BmnTask(
        build_bmn(in_channels, config),
        WholeVideoSamples(training, store, config.tscale, config.dscale),
        WholeVideoSamples(validation, store, config.tscale, config.dscale),
    )
    trainer = stage_trainer(run, task, config, device)
    last = trainer.run("bmn")
    content = {
        "model": task.model.state_dict(),
        "architecture": {"in_channels": in_channels, **_architecture(config)},
        "config": trainer.resolved,
    }
    checkpoint.save(run.folder / "weights.pt", content)
    run.counts.update({"training_videos": len(training), "validation_videos": len(validation)})
    run.summary = f"{config.epochs} epochs on {len(training)} videos, loss {last['loss']:.3f}"
    if "validation_loss" in last:
        run.summary += f", validation loss {last['validation_loss']:.3f}"


def load_bmn(run: StageRun) -> BMN:
    """Return the trained BMN of a run, in eval mode."""
    content = checkpoint.load(run.upstream("bmn") / "weights.pt")
    model = BMN(**content["architecture"])
    model.load_state_dict(content["model"])
    return model.eval()


def _architecture(config: BmnConfig) -> dict[str, Any]:
    return {key: getattr(config, key) for key in ARCHITECTURE_KEYS}


def _segments_inside(video: Video, duration_s: float, run: StageRun) -> tuple[Segment, ...]:
    """Drop and list segments after the video's real end, which annotations without durations cannot show."""
    inside = []
    for segment in video.segments:
        if segment.start_s < duration_s:
            inside.append(segment)
        else:
            where = f"{video.video_id}, segment {segment.start_s:g}-{segment.end_s:g} s"
            run.skip(where, segment_problem(segment.start_s, segment.end_s, duration_s))
    return tuple(inside)


def _usable(videos: Iterable[Video], store: FeatureStore, run: StageRun) -> list[Video]:
    """Keep labelled videos that have features; list the others."""
    usable = []
    for video in videos:
        if video.video_id not in store:
            run.skip(video.video_id, "no features (the features stage says why)")
            continue
        inside = _segments_inside(video, store.duration_s(video.video_id), run)
        if inside:
            usable.append(dataclasses.replace(video, segments=inside))
    return usable
