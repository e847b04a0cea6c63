"""Seconds that an item takes in each training, from a few real steps on random input of the
configured size."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from bmn.losses import bmn_loss
from bmn.weights import BmnSizes, build_bmn
from classification.pretrain.task import moving_clips
from classification.segment_classifier import Samples, fit
from classification.segment_features import REGIONS
from feature_extraction.extractor import Extractor
from feature_extraction.recipe import COMPUTED_IN
from one_stage.labels import one_hot, point_labels, pyramid_points
from one_stage.losses import OneStageLossConstants, learning_points, one_stage_losses
from one_stage.network import OneStageNetwork
from one_stage.usable import class_names, class_towers
from one_stage.weights import configured_architecture
from runtime.sections import RunConfig
from tadaconv import VideoNetwork, create_model, optimize_for_inference
from video_datasets.dataset import VideoDataset

LONG_ENOUGH_S = 0.5
"""A step of this length can be measured; shorter ones are made again with more items."""
REPEATED = 2
"""Steps of which the shortest counts: what else a machine does only makes them longer."""
PATIENCE_S = 4.0
"""A step that takes so long is not repeated."""
MOST_ITEMS = 32
"""Of a step, however many a batch may have: they must fit into the memory of one device."""
CPU = torch.device("cpu")
MOST_FITTED = 256
"""Segments that the classifier is tried on."""


def work_s(action: Callable[[], object], device: torch.device = CPU) -> float:
    """Return the seconds that an action takes; on processors, at most the time that they spend on
    it, since other work may keep them busy."""
    began, used = time.perf_counter(), time.process_time()
    action()
    wall_s, processor_s = time.perf_counter() - began, time.process_time() - used
    return wall_s if device.type == "cuda" else min(wall_s, processor_s)


def seconds_per_item(step: Callable[[int], object], most: int, device: torch.device = CPU) -> float:
    """Return the seconds per item of a step on n items: n doubles up to `most` until a step takes
    long enough, and the shortest of several such steps counts.

    The first step, which also sets things up, counts only where one item takes very long.
    """
    most = min(most, MOST_ITEMS)
    n, spent_s = 1, work_s(partial(step, 1), device)
    if spent_s > PATIENCE_S:
        return spent_s
    while (shortest_s := work_s(partial(step, n), device)) <= LONG_ENOUGH_S and n < most:
        n = min(2 * n, most)
    for _ in range(REPEATED):
        if shortest_s > PATIENCE_S:
            break
        shortest_s = min(shortest_s, work_s(partial(step, n), device))
    return shortest_s / n


def clip_training_s(model: VideoNetwork, config: RunConfig, device: torch.device) -> float:
    """Return the seconds per clip of finetuning, without its decoding."""
    model.to(device).train()
    size = (3, config.grid.clip_frames, config.finetune.crop_px, config.finetune.crop_px)
    return seconds_per_item(
        lambda n: _back(model, _summed(model(torch.rand(n, *size, device=device)))),
        config.finetune.micro_batch or config.finetune.batch_size,
        device,
    )


def clip_features_s(model: VideoNetwork, short_px: int, config: RunConfig, device: torch.device) -> float:
    """Return the seconds per feature of the network alone, for frames of 4 : 3."""
    dtype = COMPUTED_IN[config.features.precision]
    fast = optimize_for_inference(model, dtype, device)
    extractor = Extractor(fast, config.grid, short_px, device, config.features.crops)
    (frame,) = extractor.prepare(np.zeros((1, short_px, 4 * short_px // 3, 3), dtype=np.uint8))
    clip = [frame] * config.grid.clip_frames
    return seconds_per_item(lambda n: extractor.forward([clip] * n), extractor.batch_clips(frame), device)


def picture_training_s(config: RunConfig, device: torch.device) -> float:
    """Return the seconds per picture of pre-training: a clip for each motion."""
    settings = config.pretrain
    classes = len(moving_clips(settings).classes)
    model = create_model(config.model, num_classes=classes).to(device).train()
    size = (3, settings.num_frames, settings.window_px, settings.window_px)
    return seconds_per_item(
        lambda n: _back(model, _summed(model(torch.rand(n * classes, *size, device=device)))),
        settings.micro_batch or settings.batch_size,
        device,
    )


def classifier_training_s(segments: int, channels: int, dataset: VideoDataset) -> float:
    """Return the seconds of fitting the classifier on stored features, from a part of its
    segments."""
    count = min(segments, MOST_FITTED)
    samples = Samples(dataset.heads)
    samples.features = [np.random.default_rng(0).normal(size=(count, REGIONS * channels)).astype(np.float32)]
    samples.targets = {
        head: (np.arange(count) % (len(names) + 1)).tolist() for head, names in dataset.heads.items()
    }
    return work_s(lambda: fit(samples, dataset.heads)) * segments / max(count, 1)


def bmn_training_s(channels: int, config: RunConfig, device: torch.device) -> float:
    """Return the seconds per window, or whole video, of training BMN."""
    sizes = BmnSizes.from_config(config.bmn)
    model = build_bmn(channels, sizes).to(device)
    length, longest = config.bmn.tscale, config.bmn.dscale

    def step(n: int) -> None:
        features, start, end, iou_map = (
            torch.rand(n, *size, device=device)
            for size in ((channels, length), (length,), (length,), (longest, length))
        )
        generator = torch.Generator(device)
        _back(model, bmn_loss(model(features), start, end, iou_map, generator=generator)["loss"])

    return seconds_per_item(step, config.bmn.batch_size, device)


def one_stage_training_s(
    channels: int, rows: int, dataset: VideoDataset, config: RunConfig, device: torch.device
) -> float:
    """Return the seconds per video of training a one-stage head, on crops of `rows` features."""
    towers = class_towers(class_names(dataset, config.one_stage))
    arch = configured_architecture(config.head, channels, towers, config.one_stage)
    model = OneStageNetwork(arch).to(device)
    labels = one_hot(np.zeros((1, len(towers)), dtype=np.int64), towers)
    segment = np.array([[rows / 4, rows / 2]], dtype=np.float32)
    targets = point_labels(pyramid_points(rows, arch.regression_ranges), segment, labels)

    def step(n: int) -> None:
        valid = torch.ones(n, rows, dtype=torch.bool, device=device)
        classes, offsets = (torch.from_numpy(part).to(device).expand(n, *part.shape) for part in targets)
        learning = learning_points(valid, classes, arch.levels)
        outputs = model(torch.rand(n, channels, rows, device=device), valid, learning)
        _back(model, one_stage_losses(outputs, valid, classes, offsets, OneStageLossConstants())["loss"])

    return seconds_per_item(step, config.one_stage.batch_size, device)


def _summed(logits: Tensor | Mapping[str, Tensor]) -> Tensor:
    parts = logits.values() if isinstance(logits, Mapping) else [logits]
    return torch.stack([part.square().mean() for part in parts]).sum()


def _back(model: nn.Module, loss: Tensor) -> float:
    model.zero_grad()
    loss.backward()
    return float(loss.detach())  # waits for a GPU
