"""Image networks of timm on every frame: the mean of their features over the clip, and, where
asked for, of the differences from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tadaconv.heads import ClassificationHead, NumClasses
from tadaconv.hub.folder import extra, model_folder, read_json, rgb
from tadaconv.hub.video import HubNetwork, refuse_other_size
from tadaconv.inputs import NetworkInput
from tadaconv.network import VideoNetwork

USUAL_FRAMES = 8


@dataclass(frozen=True)
class TimmSpec:
    """An image network in a folder or in the hub's cache.

    Attributes:
        name: of a folder, of a repository, or of one of timm's own ("resnet50.a1_in1k").
        differences: whether the mean of first differences in time stands beside the mean: twice the
            channels, and opening differs from closing.
        pretrained: as of `video.TransformersSpec`.
    """

    name: str
    differences: bool = False
    pretrained: bool = True

    @cached_property
    def folder(self) -> Path:
        """Where it lies."""
        own = "/" not in self.name and not Path(self.name).expanduser().is_dir()
        return model_folder(f"timm/{self.name}" if own else self.name, weights=self.pretrained)

    @cached_property
    def input(self) -> NetworkInput:
        """Facts of its input.

        Raises:
            ValueError: if the folder does not tell them.
        """
        told: Any = read_json(self.folder / "config.json").get("pretrained_cfg")
        try:
            _, height, width = told["input_size"]
            return NetworkInput(
                clip=(USUAL_FRAMES, int(height), int(width)),
                mean=rgb(told["mean"]),
                std=rgb(told["std"]),
                fixed_size=bool(told.get("fixed_input_size", False)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{self.folder}/config.json: expected pretrained_cfg with input_size, mean and std ({error})"
            ) from error

    def build(self, num_classes: NumClasses, input_size: tuple[int, int, int] | None = None) -> VideoNetwork:
        """The network with its weights, and a head with random ones.

        Raises:
            ValueError: if timm is not installed, its weights do not fit, or it cannot have this
                size.
        """
        kind = "timm-diff" if self.differences else "timm"
        refuse_other_size(f"{kind}:{self.name}", self.input, input_size)
        timm = extra("timm")
        try:
            model: Any = timm.create_model(
                f"local-dir:{self.folder}", pretrained=self.pretrained, num_classes=0
            )
        except (RuntimeError, KeyError, OSError) as error:
            raise ValueError(f"{self.folder}: not a network of timm ({error})") from error
        channels = int(model.num_features) * (2 if self.differences else 1)
        weights = f"{kind}:{self.name}" if self.pretrained else ""
        backbone = OverFrames(model, self.differences)
        return HubNetwork(backbone, ClassificationHead(channels, num_classes), weights)


class OverFrames(nn.Module):
    """An image network (n, 3, H, W) -> (n, C) on the frames of clips.

    Args:
        model: the image network.
        differences: whether the mean of first differences stands beside the mean.
    """

    def __init__(self, model: nn.Module, differences: bool = False) -> None:
        super().__init__()
        self.model, self.differences = model, differences

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Features (B, C), or (B, 2 C); of one frame there are no differences: zeros."""
        n_clips, n_frames = clips_BCTHW.shape[0], clips_BCTHW.shape[2]
        frames = clips_BCTHW.transpose(1, 2).flatten(0, 1).contiguous()
        feats_BTC = self.model(frames).view(n_clips, n_frames, -1)
        mean_BC: Tensor = feats_BTC.mean(1)
        if not self.differences:
            return mean_BC
        # The mean of first differences: what is between the ends cancels.
        steps_BC = (feats_BTC[:, -1] - feats_BTC[:, 0]) / max(n_frames - 1, 1)
        return torch.cat([mean_BC, steps_BC], dim=1)
