"""Seconds that an item takes in each training, from a few real steps on random input of the
configured size."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from bmn.losses import bmn_loss
from bmn.weights import BmnSizes, build_bmn
from one_stage.labels import one_hot, point_labels, pyramid_points
from one_stage.losses import OneStageLossConstants, one_stage_losses
from one_stage.network import OneStageNetwork
from one_stage.usable import class_names, class_towers
from one_stage.weights import configured_architecture
from runtime.sections import RunConfig
from tadaconv import VideoNetwork
from video_datasets.dataset import VideoDataset

LONG_ENOUGH_S = 0.15
"""A step of this length is measured well enough; shorter ones are made again with more items."""


def seconds_per_item(step: Callable[[int], object], most: int) -> float:
    """Return the seconds per item of a step on n items, n doubling up to `most` until a step takes
    long enough.

    Where one item takes long, its first step, which also sets things up, is all that is measured.
    """
    n = 1
    while True:
        began = time.perf_counter()
        step(n)
        took_s = time.perf_counter() - began
        if took_s > LONG_ENOUGH_S or n >= most:
            return took_s / n
        n = min(2 * n, most)


def clip_training_s(model: VideoNetwork, config: RunConfig, device: torch.device) -> float:
    """Return the seconds per clip of finetuning, without its decoding."""
    model.to(device).train()
    size = (3, config.grid.clip_frames, config.finetune.crop_px, config.finetune.crop_px)
    return seconds_per_item(
        lambda n: _back(model, _summed(model(torch.rand(n, *size, device=device)))),
        config.finetune.batch_size,
    )


def clip_features_s(model: VideoNetwork, config: RunConfig, device: torch.device) -> float:
    """Return the seconds per feature of the network alone, for frames of 4 : 3."""
    model.to(device).eval()
    short_px = config.features.short_side_px
    size = (3, config.grid.clip_frames, short_px, 4 * short_px // 3)
    with torch.inference_mode():
        return seconds_per_item(lambda n: float(_summed(model(torch.rand(n, *size, device=device)))), 8)


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

    return seconds_per_item(step, config.bmn.batch_size)


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
        outputs = model(torch.rand(n, channels, rows, device=device), valid)
        _back(model, one_stage_losses(outputs, valid, classes, offsets, OneStageLossConstants())["loss"])

    return seconds_per_item(step, config.one_stage.batch_size)


def _summed(logits: Tensor | Mapping[str, Tensor]) -> Tensor:
    parts = logits.values() if isinstance(logits, Mapping) else [logits]
    return torch.stack([part.square().mean() for part in parts]).sum()


def _back(model: nn.Module, loss: Tensor) -> float:
    model.zero_grad()
    loss.backward()
    return float(loss.detach())  # waits for a GPU
