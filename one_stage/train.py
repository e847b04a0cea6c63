"""Training of a one-stage head on the features of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from feature_extraction import FeatureStore
from feature_extraction.checks import check_store
from one_stage.losses import OneStageLossConstants, learning_points, moved_normalizer, one_stage_losses
from one_stage.network import OneStageNetwork
from one_stage.samples import CropSamples, LabelledVideo
from one_stage.settings import OneStageConfig
from one_stage.usable import class_names, class_towers, usable_videos
from one_stage.weights import initial_network, save_one_stage
from runtime.config import config_to_dict
from runtime.stage import StageRun
from training.batches import Piece
from training.device import prepare_device
from training.distributed import shard, sum_over_ranks
from training.loop import stage_trainer
from video_datasets.dataset import VideoDataset, load_dataset
from video_datasets.time_grid import TimeGrid

Batch = dict[str, Tensor]


class OneStageTask:
    """A one-stage head, its samples and losses, for the training loop.

    The losses of a batch are sums divided by the moving average of its positive points, which the
    network keeps as `loss_normalizer`, so that checkpoints hold it. All pieces of a batch are
    divided by the same number: neither the number of processes nor `micro_batch` changes the
    gradient.

    Args:
        model: the network.
        training: samples.
        validation: samples, may be empty.
        config: weights of the losses.
    """

    def __init__(
        self, model: OneStageNetwork, training: CropSamples, validation: CropSamples, config: OneStageConfig
    ) -> None:
        self.model = model
        self.dataset, self.validation = training, validation
        self.num_items = len(training)
        self.constants = OneStageLossConstants(
            smoothing=config.smoothing,
            regression_weight=config.regression_weight,
            iou_power=config.iou_power if model.arch.bins else 0.0,
        )
        self._batch_items = 1

    def begin_step(self, pieces: Sequence[Piece], batches: Sequence[Batch]) -> None:
        """Move the normaliser by the positive points of the whole batch."""
        own = sum(
            int(self._learning(batch).sum())
            for piece, batch in zip(pieces, batches, strict=True)
            if piece.weight
        )
        positives = int(sum_over_ranks({"positives": own})["positives"])
        self.model.loss_normalizer.copy_(moved_normalizer(self.model.loss_normalizer, positives))
        self._batch_items = pieces[0].batch_size

    def losses(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the losses of a piece, scaled to be a mean over its items of a whole batch's
        loss."""
        outputs = model(batch["features"], batch["valid"], self._learning(batch))
        losses = one_stage_losses(outputs, batch["known"], batch["classes"], batch["offsets"], self.constants)
        share = self._batch_items / len(batch["features"]) / self.model.loss_normalizer
        return {name: value * share.to(value.dtype) for name, value in losses.items()}

    def _learning(self, batch: Batch) -> Tensor:
        return learning_points(batch["known"], batch["classes"], self.model.arch.levels)

    def validate(self) -> dict[str, float]:
        """Return the mean losses of the validation videos, divided by the normaliser of an item."""
        if not len(self.validation):
            return {}
        device = next(self.model.parameters()).device
        keys = [(0, item) for item in range(len(self.validation))]
        totals: dict[str, float] = {}
        for batch in DataLoader(self.validation, sampler=shard(keys), batch_size=1):
            moved = {name: value.to(device) for name, value in batch.items()}
            for name, value in self.losses(self.model, moved, torch.Generator(device)).items():
                totals[f"validation_{name}"] = totals.get(f"validation_{name}", 0.0) + float(value)
        return {name: total / len(keys) for name, total in sum_over_ranks(totals).items()}


def train(run: StageRun) -> None:
    """Train the run's head on the training subset; leaves weights.pt, checkpoint.pt and
    metrics.jsonl.

    The weights are the moving average after the last epoch (`one_stage.weight_average_decay`). With
    `one_stage.epochs=0` they are `one_stage.init_weights`, and weights.pt is all there is.
    """
    config = run.config.one_stage
    device = prepare_device(run.config.runtime)
    store = FeatureStore(run.upstream("features"))
    grid = run.config.grid
    channels = check_store(store, grid)
    dataset = load_dataset(run.config.data)
    names = class_names(dataset, config)
    towers = class_towers(names)
    network = initial_network(run.config.head, channels, towers, config, run.config.seed)
    if config.epochs:
        task = _task(run, network, store, grid, dataset)
        last = stage_trainer(run, task, config, device).run("one_stage")
        run.summary = f"{config.epochs} epochs on {task.num_items} videos, loss {last['loss']:.3f}"
        if "validation_loss" in last:
            run.summary += f", validation loss {last['validation_loss']:.3f}"
    else:
        run.summary = f"weights of {config.init_weights}, not trained further"
    save_one_stage(run.folder / "weights.pt", network, grid, names, config_to_dict(run.config))


def _task(
    run: StageRun, network: OneStageNetwork, store: FeatureStore, grid: TimeGrid, dataset: VideoDataset
) -> OneStageTask:
    """Gather the samples; what is left out of them is listed in the run."""
    config, data = run.config.one_stage, run.config.data
    run.skipped.update(dataset.problems)
    samples: dict[str, CropSamples] = {}
    for name, subset in (("training", data.training_subset), ("validation", data.validation_subset)):
        videos = usable_videos(dataset, subset, store, grid, run)
        run.counts[f"{name}_videos"] = len(videos)
        longest = max((store.info(video.video_id).shape[0] for video in videos), default=1)
        samples[name] = CropSamples(
            videos,
            store,
            network.arch,
            config,
            length=min(longest, config.max_length),
            seed=run.config.seed,
            augmented=name == "training",
        )
    if not config.init_weights:
        network.loss_normalizer.fill_(config.first_normalizer)
        network.silence(_classes_without_segment(samples["training"].videos, network.arch.class_towers))
    return OneStageTask(network, samples["training"], samples["validation"], config)


def _classes_without_segment(videos: Sequence[LabelledVideo], towers: tuple[int, ...]) -> list[int]:
    """Return the classes that training never shows, counted through all towers."""
    seen: set[int] = set()
    first = np.cumsum([0, *towers])[:-1]
    for video in videos:
        seen.update((video.classes + first).ravel().tolist())
    return sorted(set(range(sum(towers))) - seen)
