"""Training of BMN on a feature store (stage `bmn`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from bmn.losses import bmn_loss
from bmn.model import BMN
from bmn.samples import Samples, WholeVideoSamples, WindowSamples
from bmn.weights import initial_bmn, save_bmn
from bmn.windows import window_grid
from feature_extraction import FeatureStore
from feature_extraction.checks import check_store, features_problem
from runtime.config import config_to_dict
from runtime.stage import StageRun
from training.device import prepare_device
from training.distributed import shard, sum_over_ranks
from training.held import HeldItems
from training.loop import stage_trainer
from video_datasets.dataset import Segment, Video, load_dataset, segment_problem
from video_datasets.time_grid import TimeGrid


class BmnTask:
    """BMN, its samples and its losses, for the training loop."""

    def __init__(self, model: BMN, training: Samples, validation: Samples) -> None:
        self.model, self.training, self.validation = model, training, validation
        self.dataset, self._validation_items = HeldItems(training), HeldItems(validation)
        self.num_items = len(training)

    def losses(
        self, model: nn.Module, batch: dict[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Return the three losses and their weighted sum."""
        outputs = model(batch["features"])
        return bmn_loss(outputs, batch["start"], batch["end"], batch["iou_map"], generator=generator)

    def validate(self) -> dict[str, float]:
        """Return the mean losses over the validation samples, drawn alike every time."""
        if not len(self.validation):
            return {}
        device = next(self.model.parameters()).device
        keys = [(0, item) for item in range(len(self.validation))]
        totals: dict[str, float] = {}
        for batch in DataLoader(self._validation_items, sampler=shard(keys), batch_size=1):
            moved = {name: value.to(device) for name, value in batch.items()}
            for name, value in self.losses(self.model, moved, torch.Generator(device).manual_seed(0)).items():
                totals[f"validation_{name}"] = totals.get(f"validation_{name}", 0.0) + float(value)
        return {name: total / len(keys) for name, total in sum_over_ranks(totals).items()}


def train(run: StageRun) -> None:
    """Train BMN on the training subset; leaves weights.pt, checkpoint.pt and metrics.jsonl in the
    folder.

    The weights are those after the last epoch, as in effect in the released code of BMN, whose
    "best" ones are compared within an epoch only. With `bmn.epochs=0` they are `bmn.init_weights`,
    and weights.pt is all there is.
    """
    config = run.config.bmn
    device = prepare_device(run.config.runtime)
    store = FeatureStore(run.upstream("features"))
    grid = run.config.grid
    model = initial_bmn(check_store(store, grid), config, run.config.seed)
    if config.epochs:
        task = _task(run, model, store, grid)
        last = stage_trainer(run, task, config, device).run("bmn")
        run.summary = f"{config.epochs} epochs on {_extent(task.training)}, loss {last['loss']:.3f}"
        if "validation_loss" in last:
            run.summary += f", validation loss {last['validation_loss']:.3f}"
    else:
        run.summary = f"weights of {config.init_weights}, not trained further"
    save_bmn(run.folder / "weights.pt", model, config, grid, config_to_dict(run.config))


def _task(run: StageRun, model: BMN, store: FeatureStore, grid: TimeGrid) -> BmnTask:
    """Gather the samples; what is left out of them is listed in the run."""
    config, data = run.config.bmn, run.config.data
    dataset = load_dataset(data)
    run.skipped.update(dataset.problems)
    windows = window_grid(config, grid)
    samples: dict[str, Samples] = {}
    for name, subset in (("training", data.training_subset), ("validation", data.validation_subset)):
        videos = _usable(dataset.subset(subset), store, grid, run)
        run.counts[f"{name}_videos"] = len(videos)
        if windows is None:
            samples[name] = WholeVideoSamples(videos, store, config.tscale, config.dscale)
        else:
            in_windows = WindowSamples(videos, store, windows, config.dscale)
            run.counts[f"{name}_windows"] = len(in_windows)
            run.counts[f"{name}_segments_in_no_window"] = in_windows.num_unseen
            samples[name] = in_windows
    return BmnTask(model, samples["training"], samples["validation"])


def _extent(samples: Samples) -> str:
    """Say what was trained on."""
    if isinstance(samples, WholeVideoSamples):
        return f"{len(samples)} videos"
    unseen = f", segments that none of them holds: {samples.num_unseen}" if samples.num_unseen else ""
    return f"{len(samples)} windows{unseen}"


def _segments_inside(video: Video, duration_s: float, run: StageRun) -> tuple[Segment, ...]:
    """Drop and list segments after the video's real end, which annotations without durations
    cannot show."""
    inside = []
    for segment in video.segments:
        if segment.start_s < duration_s:
            inside.append(segment)
        else:
            where = f"{video.video_id}, segment {segment.start_s:g}-{segment.end_s:g} s"
            run.skip(where, segment_problem(segment.start_s, segment.end_s, duration_s))
    return tuple(inside)


def _usable(videos: Iterable[Video], store: FeatureStore, grid: TimeGrid, run: StageRun) -> list[Video]:
    """Keep labelled videos that have features; list the others."""
    usable = []
    for video in videos:
        problem = features_problem(store, video.video_id, grid)
        if problem:
            run.skip(video.video_id, problem)
            continue
        inside = _segments_inside(video, store.duration_s(video.video_id), run)
        if inside:
            usable.append(dataclasses.replace(video, segments=inside))
    return usable
